"""Two network namespaces and a link between them, which loses the packets that it is told to.

The link is this process: it moves packets between two TUN devices. So it needs no module of the kernel, as netem does,
and packets vanish on the way, as they do when a cable is cut. Needs root, and /dev/net/tun.
"""
import ctypes
import fcntl
import os
import random
import select
import shutil
import struct
import subprocess
import threading

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000
CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)

SERVER, CLIENT = "10.99.0.1", "10.99.0.2"


def why_not():
    """Why there can be none; None if they can be made."""
    for tool in ("ip", "unshare", "nsenter"):
        if not shutil.which(tool):
            return "no " + tool
    if os.geteuid() != 0:
        return "it needs root"
    if not os.access("/dev/net/tun", os.W_OK):
        return "no /dev/net/tun"
    if subprocess.run(["unshare", "-n", "true"], stderr=subprocess.DEVNULL).returncode != 0:
        return "no network namespaces"
    return None


class FaultyLink:
    """`loss` is the share of packets that get lost, from 0 to 1; `server` and `client` begin commands for either end."""

    def __init__(self):
        self.loss = 0
        self.random = random.Random(6455)
        self.lost = self.moved = 0

    def __enter__(self):
        self.holders, self.devices = [], []
        for address in (SERVER, CLIENT):
            # A namespace lives as long as a process in it.
            holder = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec sleep 300"], stdout=subprocess.PIPE)
            holder.stdout.readline()
            self.holders.append(holder)
            self.devices.append(tun(holder.pid))
            subprocess.run([*inside(holder), "sh", "-c", "ip link set lo up && ip address add %s/24 dev wire && "
                            "ip link set wire up" % address], check=True)
        self.server, self.client = map(inside, self.holders)
        self.ends = os.pipe()
        self.thread = threading.Thread(target=self.carry)
        self.thread.start()
        return self

    def __exit__(self, *_):
        os.close(self.ends[1])
        self.thread.join()
        for descriptor in (*self.devices, self.ends[0]):
            os.close(descriptor)
        for holder in self.holders:
            holder.kill()
            holder.wait()
            holder.stdout.close()

    def pull(self):
        """Cuts the link at the server."""
        subprocess.run([*self.server, "ip", "link", "set", "wire", "down"], check=True)

    def carry(self):
        to = dict(zip(self.devices, reversed(self.devices)))
        while True:
            ready, _, _ = select.select([*self.devices, self.ends[0]], [], [])
            if self.ends[0] in ready:
                return
            for device in ready:
                packet = os.read(device, 65536)
                if self.random.random() < self.loss:
                    self.lost += 1
                    continue
                try:
                    os.write(to[device], packet)
                    self.moved += 1
                except OSError:  # the link is cut
                    self.lost += 1


def inside(holder):
    return ["nsenter", "-t", str(holder.pid), "-n"]


def tun(pid):
    """Makes the device "wire" in the namespace of a process."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open("/proc/%d/ns/net" % pid, os.O_RDONLY)
    try:
        enter(there)
        device = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"wire", IFF_TUN | IFF_NO_PI))
    finally:
        enter(home)
        os.close(home)
        os.close(there)
    return device


def enter(namespace):
    if LIBC.setns(namespace, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
