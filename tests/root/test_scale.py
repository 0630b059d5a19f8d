# SPDX-License-Identifier: LGPL-2.1-or-later
"""Numbers: thousands of definitions, a thousand clients. Bounds are far above what is measured (see the bench)."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import kitehost
from kitehost import case, domain_xml, virsh, wait_for

COUNT = 10000


def setup():
    return kitehost.Daemon().start()


@case
def ten_thousand_definitions(daemon):
    """10,000 definitions load in seconds and are all listed"""
    import libvirt
    virsh("define", kitehost.write("seed.xml", domain_xml("seed", serial_log=False)))
    with open("/etc/kite/domains/seed.xml") as f:
        text = f.read()
    uuid = virsh("domuuid", "seed")
    daemon.stop()
    for i in range(COUNT):
        with open("/etc/kite/domains/vm%05d.xml" % i, "w") as f:
            f.write(text.replace(">seed<", ">vm%05d<" % i).replace(uuid, "00000000-0000-4000-8000-%012d" % i))
    begin = time.monotonic()
    daemon.start()
    conn = libvirt.open(kitehost.URI)
    wait_for("all of them", lambda: conn.numOfDefinedDomains() == COUNT + 1, 60)
    loaded = time.monotonic() - begin
    begin = time.monotonic()
    domains = conn.listAllDomains()
    listed = time.monotonic() - begin
    assert len(domains) == COUNT + 1
    print("# loaded in %.2f s, listed in %.1f ms, PSS %d KiB" % (loaded, listed * 1000, daemon.rss_kib()))
    assert loaded < 60 and listed < 5
    assert domains[5].name().startswith(("vm", "seed"))
    conn.lookupByUUIDString("00000000-0000-4000-8000-%012d" % (COUNT - 1)).undefine()
    assert conn.numOfDefinedDomains() == COUNT
    conn.close()


@case
def thousand_clients(daemon):
    """1,000 clients are connected at once and served"""
    import libvirt
    import resource
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
    conns = [libvirt.open(kitehost.URI) for _ in range(1000)]
    assert all(c.getHostname() for c in conns[::50])
    print("# PSS with 1,000 clients: %d KiB" % daemon.rss_kib())
    for c in conns:
        c.close()
    wait_for("descriptors to be closed", lambda: daemon.open_fds() < 100, 10)


if __name__ == "__main__":
    kitehost.enter()
    sys.exit(kitehost.main(setup))
