// The browser's WebSocket for a Node that has none (18, 19), as far as printed clients use it.
// Loaded with `node --import`. RFC 6455 without fragments: the server sends each text whole.

import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';

const TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10;
const NORMAL_CLOSURE = Buffer.from([0x03, 0xe8]);

class WebSocket {
    onopen = null;
    onmessage = null;
    onclose = null;
    onerror = null;
    #socket;
    #received = Buffer.alloc(0);
    #isOpen = false;
    #isClosing = false;

    constructor(address) {
        const { hostname, port, pathname, search, host } = new URL(address);
        // The server may listen on one of the two addresses of localhost.
        this.#socket = connect({ host: hostname, port: Number(port), autoSelectFamily: true });
        this.#socket.write(
            `GET ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\n` +
            'Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
            `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`,
        );
        this.#socket.on('data', (bytes) => this.#receive(bytes));
        this.#socket.on('error', (error) => this.onerror?.({ error }));
        this.#socket.on('close', () => this.onclose?.({}));
    }

    send(message) {
        if (typeof message === 'string') {
            this.#sendFrame(TEXT, Buffer.from(message));
        } else {
            const view = ArrayBuffer.isView(message);
            this.#sendFrame(BINARY, view
                ? Buffer.from(message.buffer, message.byteOffset, message.byteLength)
                : Buffer.from(message));
        }
    }

    close() {
        if (!this.#isClosing) {
            this.#isClosing = true;
            this.#sendFrame(CLOSE, NORMAL_CLOSURE);
        }
    }

    #sendFrame(opcode, payload) {
        const head = Buffer.alloc(payload.length < 126 ? 2 : payload.length < 65536 ? 4 : 10);
        head[0] = 0x80 | opcode;
        head[1] = 0x80 | (head.length === 2 ? payload.length : head.length === 4 ? 126 : 127);
        if (head.length === 4) head.writeUInt16BE(payload.length, 2);
        if (head.length === 10) head.writeBigUInt64BE(BigInt(payload.length), 2);
        const mask = randomBytes(4);
        const masked = payload.map((byte, index) => byte ^ mask[index % 4]);
        this.#socket.write(Buffer.concat([head, mask, masked]));
    }

    #receive(bytes) {
        this.#received = Buffer.concat([this.#received, bytes]);
        if (!this.#isOpen && !this.#readResponse()) return;
        for (let frame = this.#readFrame(); frame !== null; frame = this.#readFrame()) {
            this.#obey(frame);
        }
    }

    #readResponse() {
        const end = this.#received.indexOf('\r\n\r\n');
        if (end < 0) return false;
        if (!this.#received.subarray(0, end).toString().startsWith('HTTP/1.1 101 ')) {
            this.#socket.destroy(new Error('the server opens no WebSocket'));
            return false;
        }
        this.#received = this.#received.subarray(end + 4);
        this.#isOpen = true;
        this.onopen?.({});
        return true;
    }

    #readFrame() {
        const bytes = this.#received;
        if (bytes.length < 2) return null;
        const size = bytes[1] & 127;
        const start = size === 126 ? 4 : size === 127 ? 10 : 2;
        if (bytes.length < start) return null;
        const length = start === 4 ? bytes.readUInt16BE(2)
            : start === 10 ? Number(bytes.readBigUInt64BE(2)) : size;
        if (bytes.length < start + length) return null;
        this.#received = bytes.subarray(start + length);
        return { opcode: bytes[0] & 15, payload: bytes.subarray(start, start + length) };
    }

    #obey({ opcode, payload }) {
        if (opcode === TEXT) this.onmessage?.({ data: payload.toString() });
        if (opcode === PING) this.#sendFrame(PONG, payload);
        if (opcode === CLOSE) {
            this.close();
            this.#socket.end();
        }
    }
}

globalThis.WebSocket = WebSocket;
