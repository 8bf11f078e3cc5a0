# Dockerfile for whisper_streaming server
FROM python:3.11-slim

# Created before the files are copied, so that a change of the code does not redo it. The home
# folder holds the cache of fetched models; mount a volume there to keep them.
RUN useradd --create-home --uid 10001 whisper

WORKDIR /app
COPY . .
RUN pip install --no-cache-dir -r requirements.txt

# By number, so that an orchestrator can see that it is not root.
USER 10001

EXPOSE 9090
HEALTHCHECK --interval=30s --timeout=5s --start-period=10m --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://localhost:9090/healthz', timeout=4)"]
CMD ["python", "run_websocket_server.py", "--host", "0.0.0.0"]
