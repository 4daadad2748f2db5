"""How the peer programs written in Python tell what they checked."""
import sys


class Checks:
    def __init__(self, name):
        self.name = name
        self.count = 0

    def check(self, ok, text, *details):
        if not ok:
            sys.exit("{}: FAILED {} {}".format(self.name, text, " ".join(map(repr, details))))
        self.count += 1
        print("ok", text, flush=True)

    def done(self):
        print("{}: {} checks OK".format(self.name, self.count), flush=True)
