// Send raw audio to the server and print every final caption: no options, no library.
//
//     node examples/stream.mjs audio.raw [ws://localhost:9090/stream?format=s16]
//
// audio.raw holds 16-bit samples, 16 kHz, mono, as these give it:
//     ffmpeg -i talk.mp3 -f s16le -ar 16000 -ac 1 audio.raw
//     arecord -f S16_LE -r 16000 -t raw -d 10 audio.raw
//
// Needs a running server (python run_websocket_server.py) and Node 22; Node 20 and 21 need
// --experimental-websocket. In a browser the WebSocket part is the same.

import { createReadStream } from 'node:fs';

const [file, url = 'ws://localhost:9090/stream?format=s16'] = process.argv.slice(2);
if (file === undefined) {
    console.error('usage: node examples/stream.mjs FILE.raw [URL]');
    process.exit(2);
}

const socket = new WebSocket(url);

socket.onopen = async () => {
    try {
        for await (const chunk of createReadStream(file)) {
            socket.send(chunk);
        }
    } catch (error) {
        console.error(error.message);
        process.exitCode = 1;
    }
    // The server answers with the last words and closes.
    socket.send('END_OF_AUDIO');
};

socket.onmessage = (event) => {
    console.log(event.data);
};

socket.onerror = () => {
    console.error(`no connection to ${url}: is the server running?`);
    process.exitCode = 1;
};
