# SPDX-License-Identifier: LGPL-2.1-or-later
"""Builds the go-libvirt client from Debian's packages and runs it; its own TAP points are passed on."""
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import kitehost
from kitehost import domain_xml, write

LIBRARY = "/usr/share/gocode/src/github.com/digitalocean/go-libvirt"


def run():
    if not shutil.which("go") or not os.path.isdir(LIBRARY):
        kitehost.skip_all("golang-go or golang-github-digitalocean-go-libvirt-dev is not installed")
    kitehost.enter()
    env = dict(os.environ, GO111MODULE="off", GOPATH="/usr/share/gocode", GOCACHE=kitehost.WORK + "/gocache", GOFLAGS="-p=2")
    program = kitehost.WORK + "/goclient"
    done = subprocess.run(["go", "build", "-o", program, kitehost.SOURCE + "/tests/interop/go/main.go"], env=env,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    if done.returncode:
        print("Bail out! go build: " + done.stdout.replace("\n", "\n# "))
        return 1
    daemon = kitehost.Daemon().start()
    try:
        return subprocess.run([program, "/run/libvirt/virtkited-sock", write("go.xml", domain_xml("go"))], timeout=120).returncode
    finally:
        daemon.stop()
        kitehost.cleanup_processes()


if __name__ == "__main__":
    sys.exit(run())
