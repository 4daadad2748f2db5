// An echo server of Node's ws, with the side paths of the battery (see README.md).
'use strict';
const http = require('node:http');
const https = require('node:https');
const { WebSocketServer } = require('ws');
const { deflateOptions, options } = require('./node_options.js');

const { url, deflate, tls } = options();
const [, path] = /^ws\+unix:\/\/([^:]*)/.exec(url) ?? [];
const { protocol, hostname, port } = new URL(url);
const below = protocol === 'wss:' ? https.createServer({ ...tls, requestCert: Boolean(tls.ca) }) : http.createServer();
const server = new WebSocketServer({
    server: below, perMessageDeflate: deflateOptions(deflate), verifyClient, handleProtocols,
});

below.listen(path ?? { host: hostname, port: Number(port) }, () => {
    console.log(`listening on ${path ? url : `${protocol}//127.0.0.1:${below.address().port}/`}`);
});
process.on('SIGTERM', () => process.exit(0));
server.on('connection', (ws, request) => {
    ws.on('error', error => console.error(error.message));
    ws.on('message', (data, binary) => {
        if (data.equals(Buffer.from('closeme\n'))) ws.close(1001, 'seeya');
        else if (request.url === '/fragments') sendThirds(ws, data, binary);
        else ws.send(data, { binary });
    });
});

// Three fragments, cut anywhere in a character, and a ping amid them.
function sendThirds(ws, data, binary) {
    const third = Math.floor(data.length / 3);
    ws.send(data.subarray(0, third), { binary, fin: false });
    ws.ping('amid');
    ws.send(data.subarray(third, 2 * third), { binary, fin: false });
    ws.send(data.subarray(2 * third), { binary, fin: true });
}

function verifyClient({ req }, answer) {
    const refused = /^\/refuse\/([0-9]+)$/.exec(req.url);
    if (refused) answer(false, Number(refused[1]), `refused with ${refused[1]}\n`);
    else answer(true);
}

function handleProtocols(offered, request) {
    if (request.url === '/unasked') return 'unasked';
    return offered.has('superchat') && 'superchat';
}
