"""What stands between a client and a server: proxies, and servers in front. Knows how to configure and start them."""
import contextlib
import os
import subprocess

import certificates
from programs import HOME, Skipped, at_port, free_port, server

WORK = HOME / "transports"
CERTIFICATES = WORK / "certificates"
USER, PASSWORD = "me", "s3cret"


def pem(name):
    return str(CERTIFICATES / (name + ".pem"))


def key(name):
    return str(CERTIFICATES / (name + ".key"))


# Proxies: the port, and the file with what they say


@contextlib.contextmanager
def tinyproxy(locked=False, hosts=None, more=""):
    port = free_port()
    config = WORK / "tinyproxy.conf"
    login = "BasicAuth %s %s" % (USER, PASSWORD) if locked else ""
    config.write_text("Port %d\nListen 127.0.0.1\nTimeout 20\nLogLevel Connect\n%s\n%s\n" % (port, login, more))
    with at_port(port, [*hosts_of_its_own(hosts), "tinyproxy", "-d", "-c", config]) as output:
        yield port, output


@contextlib.contextmanager
def microsocks(locked=False, hosts=None):
    port = free_port()
    login = ["-u", USER, "-P", PASSWORD] if locked else []
    with at_port(port, [*hosts_of_its_own(hosts), "microsocks", "-i", "127.0.0.1", "-p", str(port), *login]) as output:
        yield port, output


def hosts_of_its_own(hosts):
    """Words in front of a command that give it another /etc/hosts, which nobody else sees."""
    if not hosts:
        return []
    unshare = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-mr"]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode != 0:
        raise Skipped("no mount namespaces here")
    path = WORK / "hosts"
    path.write_text(hosts)
    return [*unshare, "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', path]


# Servers in front: each listens with TLS, where a URL of ours lies behind


@contextlib.contextmanager
def nginx(serving):
    with server(*serving, "ws://127.0.0.1:0/") as url:
        with nginx_before("http://" + url.split("/")[2]) as front:
            yield front


@contextlib.contextmanager
def nginx_to_unix(serving):
    path = WORK / "behind.socket"
    path.unlink(missing_ok=True)
    with server(*serving, "ws+unix://%s:/" % path), nginx_before("http://unix:%s:" % path) as front:
        yield front


@contextlib.contextmanager
def nginx_before(upstream):
    port = free_port()
    folder = WORK / "nginx"
    folder.mkdir(exist_ok=True)
    (folder / "conf").write_text("""
        daemon off; master_process off; pid pid; error_log stderr;
        events {}
        http {
            access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
            uwsgi_temp_path uwsgi; scgi_temp_path scgi; keepalive_timeout 1s; client_header_timeout 1s;
            server {
                listen 127.0.0.1:%d ssl; ssl_certificate %s; ssl_certificate_key %s;
                location / {
                    proxy_pass %s; proxy_http_version 1.1;
                    proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
                    proxy_set_header Host $host;
                }
            }
        }
        """ % (port, pem("server"), key("server"), upstream))
    with at_port(port, ["nginx", "-p", folder, "-c", "conf", "-e", "stderr"]):
        yield "wss://localhost:%d/" % port


@contextlib.contextmanager
def haproxy(serving):
    with server(*serving, "ws://127.0.0.1:0/") as url:
        with haproxy_before("http", "ssl crt %s alpn http/1.1 ssl-max-ver TLSv1.2" % (CERTIFICATES / "server.both"), url) as front:
            yield front


@contextlib.contextmanager
def haproxy_passing_tls(serving):
    with server(*serving, "wss://127.0.0.1:0/", "--cert", pem("server"), "--key", key("server")) as url:
        with haproxy_before("tcp", "", url) as front:
            yield front


@contextlib.contextmanager
def haproxy_that_checks(url, *lines):
    """HAProxy before a server of ours, with health checks as these lines have them; its URL, and where it tells about them."""
    path = WORK / "haproxy.socket"
    path.unlink(missing_ok=True)
    port = free_port()
    checks = "check inter 100ms fall 1 rise 1" + (" check-ssl verify required ca-file %s check-sni localhost" %
                                                  pem(certificates.AUTHORITY) if url.startswith("wss:") else "")
    config = WORK / "haproxy-checks.conf"
    config.write_text("""
global
    stats socket %s
defaults
    mode tcp
    timeout connect 5s
    timeout client 20s
    timeout server 20s
listen front
    bind 127.0.0.1:%d
    %s
    server ours %s %s
""" % (path, port, "\n    ".join(lines), url.split("/")[2], checks))
    with at_port(port, ["haproxy", "-q", "-db", "-f", config]):
        yield "%s://localhost:%d/" % (url.split(":")[0], port), path


@contextlib.contextmanager
def haproxy_before(mode, bind, url):
    port = free_port()
    config = WORK / "haproxy.conf"
    config.write_text("""
defaults
    mode %s
    timeout connect 5s
    timeout client %s
    timeout server %s
    timeout tunnel 20s
    timeout http-request 1s
listen front
    bind 127.0.0.1:%d %s
    server ours %s
""" % (mode, *(["1s"] * 2 if mode == "http" else ["20s"] * 2), port, bind, url.split("/")[2]))
    with at_port(port, ["haproxy", "-q", "-db", "-f", config]):
        yield "wss://localhost:%d/" % port
