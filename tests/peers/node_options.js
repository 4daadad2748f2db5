// The command line that both Node programs take: URL [--deflate PARAMETERS]
'use strict';
const { parseArgs } = require('node:util');

function options() {
    const { values, positionals } = parseArgs({ options: { deflate: { type: 'string' } }, allowPositionals: true });
    return { url: positionals[0], deflate: values.deflate };
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
