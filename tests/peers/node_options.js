// The command line that both Node programs take, and what it means to ws.
'use strict';
const { readFileSync } = require('node:fs');
const { parseArgs } = require('node:util');

function options() {
    const names = ['deflate', 'cacert', 'cert', 'key'];
    const known = Object.fromEntries(names.map(name => [name, { type: 'string' }]));
    const { values, positionals } = parseArgs({ options: known, allowPositionals: true });
    const read = path => path && readFileSync(path);
    // A client trusts `ca`; a server asks its clients for one of them.
    const tls = { ca: read(values.cacert), cert: read(values.cert), key: read(values.key) };
    return { url: positionals[0], deflate: values.deflate, tls };
}

// "server_no_context_takeover; client_max_window_bits=10" as ws names it; undefined turns the extension off.
function deflateOptions(text) {
    if (text === undefined) return false;
    const result = { threshold: 0 };
    for (const part of text.split(';').map(part => part.trim()).filter(Boolean)) {
        const [name, value] = part.split('=');
        result[name.replace(/_(.)/g, (_, letter) => letter.toUpperCase())] = value ? Number(value) : true;
    }
    return result;
}

module.exports = { deflateOptions, options };
