// The battery run by the client of Node's ws.
'use strict';
const { once } = require('node:events');
const WebSocket = require('ws');
const { deflateOptions, options } = require('./node_options.js');

const SIZES = [0, 1, 125, 126, 127, 65535, 65536, 1 << 20];
const PERIOD = 20011; // repeats that only a large compression window reaches
const DATA = Buffer.from(Uint8Array.from({ length: SIZES.at(-1) }, (_, i) => (i % PERIOD) ** 2 % PERIOD % 251));
const { url, deflate, tls } = options();
let count = 0;

async function main() {
    await messages(await connect());
    await closings();
    await subprotocols();
    await many();
    console.log(`node_client: ${count} checks OK`);
}

async function messages(ws) {
    const texts = { ascii: 'hello', 'multi-byte': 'κόσμε 世界 🦀', empty: '', long: 'żółć🦀'.repeat(20000) };
    for (const [name, text] of Object.entries(texts)) {
        check(await echoes(ws, Buffer.from(text), false, () => ws.send(text)), `text, ${name}`);
    }
    for (const size of SIZES) {
        const data = DATA.subarray(0, size);
        check(await echoes(ws, data, true, () => ws.send(data)), `binary of ${size} bytes`);
    }
    const text = Buffer.from('fragmented 🦀'); // the last cut is within the crab
    const pieces = [text.subarray(0, 4), text.subarray(4, 13), text.subarray(13)];
    check(await echoes(ws, text, false, () => sendPieces(ws, false, pieces)), 'text in three fragments');
    const data = Buffer.alloc(70001, 0xff);
    const chunks = [data.subarray(1), Buffer.alloc(0), data.subarray(0, 1)];
    check(await echoes(ws, data, true, () => sendPieces(ws, true, chunks)), 'binary in three fragments');
    for (const payload of ['', 'ping', 'p'.repeat(125)]) {
        ws.ping(payload);
        const [pong] = await once(ws, 'pong');
        check(pong.toString() === payload, `pong with ${payload.length} bytes`);
    }
    const replies = collect(ws, 500);
    for (let i = 0; i < 500; i++) ws.send(String(i));
    check((await replies).every(([reply], i) => reply.toString() === String(i)), '500 messages in order');
    await closes(ws, 1000, 'done');
}

async function closings() {
    await closes(await connect(), 1001, '');
    await closes(await connect(), 3000, 'κόσμε');
    await closes(await connect(), 4999, 'r'.repeat(123));
    await closes(await connect());
}

// ws itself refuses a server that selects none of what was offered.
async function subprotocols() {
    const ws = new WebSocket(url, ['chat', 'chat.v2'], { perMessageDeflate: deflateOptions(deflate), ...tls });
    const [error] = await once(ws, 'error');
    check(error.message === 'Server sent no subprotocol', 'no subprotocol selected', error.message);
}

async function many() {
    const all = await Promise.all(Array.from({ length: 20 }, connect));
    const texts = all.map((_, i) => `number ${i}`);
    const echoed = all.map((ws, i) => echoes(ws, Buffer.from(texts[i]), false, () => ws.send(texts[i])));
    check((await Promise.all(echoed)).every(Boolean), '20 connections at once');
    await Promise.all(all.map(ws => { ws.close(1000); return once(ws, 'close'); }));
    check(true, '20 clean closes');
}

async function connect() {
    const ws = new WebSocket(url, { perMessageDeflate: deflateOptions(deflate), maxPayload: 0, ...tls });
    await once(ws, 'open');
    return ws;
}

async function echoes(ws, expected, binary, send) {
    const reply = once(ws, 'message');
    send();
    const [data, isBinary] = await reply;
    return isBinary === binary && data.equals(expected);
}

function sendPieces(ws, binary, pieces) {
    pieces.forEach((piece, i) => ws.send(piece, { binary, fin: i === pieces.length - 1 }));
}

function collect(ws, wanted) {
    return new Promise(resolve => {
        const replies = [];
        ws.on('message', (...reply) => { if (replies.push(reply) === wanted) resolve(replies); });
    });
}

// A Close without a code comes back without one, which ws reports as 1005.
async function closes(ws, code, reason = '') {
    ws.close(code, reason);
    const [got] = await once(ws, 'close');
    check(got === (code ?? 1005), `closed with ${code ?? 'no code'}`, got);
}

function check(ok, text, ...details) {
    if (!ok) fail(text, ...details);
    count++;
    console.log('ok', text);
}

function fail(...what) {
    console.error('node_client: FAILED', ...what);
    process.exit(1);
}

setTimeout(fail, 20000, 'took over 20 s').unref();
main().catch(fail);
