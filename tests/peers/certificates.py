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
NAMES = "DNS:localhost,DNS:*.peers.test,IP:127.0.0.1"
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
    self_signed(folder, "selfsigned", "subjectAltName=" + NAMES)


def self_signed(folder, name, *extensions):
    openssl(folder, "req", "-x509", *new_key(name), "-out", name + ".pem", "-days", "3",
            *(word for extension in extensions for word in ("-addext", extension)))


def signed(folder, authority, name, names, dates=VALID):
    (folder / "extensions").write_text(
        "subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\nauthorityKeyIdentifier=keyid\n" % names)
    openssl(folder, "req", *new_key(name), "-out", "request")
    openssl(folder, "ca", "-batch", "-notext", "-config", "config", "-in", "request", "-out", name + ".pem",
            "-cert", authority + ".pem", "-keyfile", authority + ".key", "-extfile", "extensions",
            "-startdate", dates[0], "-enddate", dates[1])
    (folder / (name + ".both")).write_text((folder / (name + ".pem")).read_text() + (folder / (name + ".key")).read_text())


def new_key(name):
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", name + ".key", "-subj",
            "/CN=" + name]


def openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=20)
