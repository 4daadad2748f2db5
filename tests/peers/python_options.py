"""The command line that both programs of Python's websockets take: URL [--deflate PARAMETERS]"""
import argparse


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--deflate", metavar="PARAMETERS", help="such as 'client_max_window_bits=10'")
    return parser.parse_args()


def extensions(text, factory):
    """What `factory` makes of "server_no_context_takeover; client_max_window_bits=10"; nothing where text is None."""
    if text is None:
        return []
    pairs = ((part.strip() + "=").split("=")[:2] for part in text.split(";") if part.strip())
    return [factory(**{name: int(value) if value else True for name, value in pairs})]
