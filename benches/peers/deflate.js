// permessage-deflate of `ws`, by itself. What it is asked: scripts.rs.

'use strict';

const readline = require('readline');
const { PerMessageDeflate } = require('ws');

const CONNECTIONS = 100;
const messages = [];

function end(isServer, level, takeover) {
    const deflate = new PerMessageDeflate({ isServer, threshold: 0, zlibDeflateOptions: { level } });
    const none = { client_no_context_takeover: [true], server_no_context_takeover: [true] };
    deflate.accept([takeover ? {} : none]);
    return deflate;
}

const pair = (level, takeover) => [end(false, level, takeover), end(true, level, takeover)];

const promise = (run) =>
    new Promise((resolve, reject) => run((error, result) => (error ? reject(error) : resolve(result))));

async function send(sender, receiver, message) {
    const compressed = await promise((done) => sender.compress(message, true, done));
    const received = await promise((done) => receiver.decompress(compressed, true, done));
    if (!received.equals(message)) throw new Error('another message');
    return compressed.length;
}

async function time(level, takeover, count) {
    const [client, server] = pair(level, takeover);
    let [size, compressed] = [0, 0];
    const start = process.hrtime.bigint();
    for (let i = 0; i < count; i++) {
        const message = messages[i % messages.length];
        size += message.length;
        compressed += await send(client, server, message);
    }
    const nanoseconds = Number(process.hrtime.bigint() - start) / count;
    client.cleanup();
    server.cleanup();
    return [nanoseconds, size / compressed];
}

function resident() {
    global.gc();
    return process.memoryUsage.rss();
}

async function hold(level, takeover, count) {
    const before = resident();
    const pairs = Array.from({ length: CONNECTIONS }, () => pair(level, takeover));
    const idle = resident();
    for (const message of messages.slice(0, count)) {
        for (const [client, server] of pairs) {
            await send(client, server, message);
            await send(server, client, message);
        }
    }
    const later = resident();
    pairs.flat().forEach((end) => end.cleanup());
    return [idle, later].map((after) => Math.max(0, after - before) / (2 * CONNECTIONS));
}

async function main() {
    console.log('ready');
    for await (const line of readline.createInterface({ input: process.stdin })) {
        if (line.startsWith('{')) {
            messages.push(Buffer.from(line));
            continue;
        }
        const [what, level, takeover, count] = line.split(' ');
        const answer = await { time, hold }[what](+level, takeover === '1', +count);
        console.log(answer.join(' '));
    }
}

main();
