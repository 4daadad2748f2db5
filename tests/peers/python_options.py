"""The command line that both programs of Python's websockets take, and what it means to websockets."""
import argparse
import ssl


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--deflate", metavar="PARAMETERS", help="such as 'client_max_window_bits=10'")
    parser.add_argument("--cacert", metavar="FILE", help="a client trusts these; a server asks its clients for one of them")
    parser.add_argument("--cert", metavar="FILE", help="the certificate to show")
    parser.add_argument("--key", metavar="FILE", help="the key to it")
    return parser.parse_args()


def client_tls(given):
    """The argument of connect() that a wss:// URL needs."""
    if not given.url.startswith("wss:"):
        return {}
    return {"ssl": loaded(ssl.create_default_context(cafile=given.cacert), given)}


def server_tls(given):
    """The argument of serve() that a wss:// URL needs."""
    if not given.url.startswith("wss:"):
        return {}
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=given.cacert)
    context.verify_mode = ssl.CERT_REQUIRED if given.cacert else ssl.CERT_NONE
    return {"ssl": loaded(context, given)}


def loaded(context, given):
    if given.cert:
        context.load_cert_chain(given.cert, given.key)
    context.set_alpn_protocols(["http/1.1"])
    return context


def socket_path(url):
    """The path in ws+unix://PATH:/TARGET; None for another URL."""
    scheme, _, rest = url.partition("://")
    return rest.partition(":")[0] if scheme == "ws+unix" else None


def extensions(text, factory):
    """What `factory` makes of "server_no_context_takeover; client_max_window_bits=10"; nothing where text is None."""
    if text is None:
        return []
    pairs = ((part.strip() + "=").split("=")[:2] for part in text.split(";") if part.strip())
    return [factory(**{name: int(value) if value else True for name, value in pairs})]
