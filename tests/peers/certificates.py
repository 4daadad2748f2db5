"""Certificates for the tests, made by openssl: two authorities, and what they signed.

A file NAME.pem holds the certificate, NAME.key its key; NAME.both has both, which is how haproxy wants them.
"""
import subprocess

AUTHORITY, STRANGER = "authority", "stranger"

# What `openssl ca` has to be told before it signs anything.
CONFIG = """
[ca]
default_ca = any
[any]
new_certs_dir = {folder}/issued
database = {folder}/index
rand_serial = yes
default_md = sha256
policy = names
unique_subject = no
[names]
commonName = supplied
"""
NAMES = "DNS:localhost,DNS:*.peers.test,IP:127.0.0.1,IP:::1"
KEYS = {
    "ecdsa": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "p384": ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "ed25519": ["ed25519"],
    "rsa": ["rsa:2048"],
}
VALID = "20200101000000Z", "20991231000000Z"
PAST = "20200101000000Z", "20200102000000Z"
FUTURE = "20980101000000Z", "20991231000000Z"


def make(folder):
    (folder / "issued").mkdir()
    (folder / "index").write_text("")
    (folder / "config").write_text(CONFIG.format(folder=folder))
    for name in AUTHORITY, STRANGER:
        self_signed(folder, name, "basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign")
    signed(folder, AUTHORITY, "server", NAMES)
    signed(folder, AUTHORITY, "expired", NAMES, PAST)
    signed(folder, AUTHORITY, "future", NAMES, FUTURE)
    signed(folder, AUTHORITY, "elsewhere", "DNS:elsewhere.test")
    signed(folder, AUTHORITY, "client", "DNS:client.test")
    signed(folder, STRANGER, "unknown", NAMES)
    signed(folder, AUTHORITY, "between", "DNS:between.test", more="basicConstraints=critical,CA:TRUE")
    signed(folder, "between", "chained", NAMES)
    join(folder, "chain.pem", "chained.pem", "between.pem")
    for kind, words in KEYS.items():
        signed(folder, AUTHORITY, kind, NAMES, key=words)
    # The two formats older than PKCS#8, and one that we cannot read.
    openssl(folder, "rsa", "-in", "rsa.key", "-traditional", "-out", "pkcs1.key")
    openssl(folder, "ec", "-in", "server.key", "-out", "sec1.key")
    openssl(folder, "ec", "-in", "server.key", "-aes128", "-passout", "pass:secret", "-out", "encrypted.key")
    self_signed(folder, "selfsigned", "subjectAltName=" + NAMES)


def join(folder, name, *parts):
    (folder / name).write_text("".join((folder / part).read_text() for part in parts))


def self_signed(folder, name, *extensions):
    openssl(folder, "req", "-x509", *new_key(name), "-out", name + ".pem", "-days", "3",
            *(word for extension in extensions for word in ("-addext", extension)))


def signed(folder, authority, name, names, dates=VALID, more="extendedKeyUsage=serverAuth,clientAuth", key=None):
    (folder / "extensions").write_text("subjectAltName=%s\nauthorityKeyIdentifier=keyid\n%s\n" % (names, more))
    openssl(folder, "req", *new_key(name, key), "-out", "request")
    openssl(folder, "ca", "-batch", "-notext", "-config", "config", "-in", "request", "-out", name + ".pem",
            "-cert", authority + ".pem", "-keyfile", authority + ".key", "-extfile", "extensions",
            "-startdate", dates[0], "-enddate", dates[1])
    join(folder, name + ".both", name + ".pem", name + ".key")


def new_key(name, words=None):
    return ["-newkey", *(words or KEYS["ecdsa"]), "-nodes", "-keyout", name + ".key", "-subj", "/CN=" + name]


def openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=20)
