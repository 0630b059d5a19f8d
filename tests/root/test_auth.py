# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who is let in: the real polkitd, SASL with SCRAM and with Kerberos against a KDC of the test's own, TLS with client
certificates, SASL over TCP, SSH. The client is unmodified virsh."""
import contextlib
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import kitehost
from kitehost import PEER, WORK, case, domain_xml, virsh, wait_for, write

CONF = "/etc/libvirt/libvirtd.conf" if PEER else "/etc/kite/virtkited.conf"
SCHEME = "qemu" if PEER else "kite"
DEFAULTS = ""
processes = []


def setup():
    global DEFAULTS
    with contextlib.suppress(FileNotFoundError), open(CONF) as f:
        DEFAULTS = f.read()
    os.makedirs(os.path.dirname(CONF), exist_ok=True)
    return kitehost.Daemon()


def settings(daemon, text, *args):
    """Restarts the daemon with these settings and arguments."""
    daemon.stop()
    with open(CONF, "w") as f:
        f.write("\n".join(l for l in DEFAULTS.splitlines() if not l.startswith("auth_")) + "\n" + text + "\n")
    daemon.args = daemon.args[:1] + list(args)
    daemon.start(kitehost.SOCKET)


def background(*args, **kw):
    with open(WORK + "/helpers.log", "ab") as log:
        processes.append(subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **kw))
    return processes[-1]


def need(*programs):
    for name in programs:
        if not (os.path.exists(name) if name.startswith("/") else shutil.which(name)):
            raise kitehost.Skip(name + " is not installed")


def as_user(user, *args, uri=None):
    """(status, text) of virsh run by another user."""
    done = kitehost.run("setpriv", "--reuid", user, "--clear-groups", "env", "HOME=/tmp", "virsh", "-q", "-c",
                        uri or kitehost.URI, *args, check=False)
    return done.returncode, done.stdout.strip()


def bus_dies(daemon):
    """Nobody is let in by the bus's end, and polkitd's with it. They come back, and are asked again."""
    for process in processes[-2:]:
        process.kill()
        process.wait()
    status, text = as_user("games", "list")
    assert status == 1 and "authentication unavailable" in text, text
    assert daemon.alive()
    os.unlink("/run/dbus/system_bus_socket")
    background("dbus-daemon", "--system", "--nofork", "--nopidfile")
    background("/usr/lib/polkit-1/polkitd", "--no-debug")
    wait_for("polkitd again", lambda: as_user("games", "list")[0] == 0, 20, 0.3)
    assert as_user("daemon", "list")[0] == 1


@case
def polkit(daemon):
    """the real polkitd: root and who a rule lets in manage; others are denied by name, or told that no agent is there"""
    need("dbus-daemon", "/usr/lib/polkit-1/polkitd")
    os.makedirs("/run/dbus", exist_ok=True)
    os.makedirs("/etc/polkit-1/rules.d", exist_ok=True)
    with open("/etc/polkit-1/rules.d/10-test.rules", "w") as f:
        f.write("polkit.addRule(function (action, subject) {\n"
                "    if (action.id != 'org.libvirt.unix.manage') return undefined;\n"
                "    if (subject.user == 'games') return polkit.Result.YES;\n"
                "    if (subject.user == 'daemon') return polkit.Result.NO;\n"
                "    return undefined;\n});\n")
    background("dbus-daemon", "--system", "--nofork", "--nopidfile")
    wait_for("bus", lambda: kitehost.Daemon.answers("/run/dbus/system_bus_socket"), 10)
    background("/usr/lib/polkit-1/polkitd", "--no-debug")
    ask = ["dbus-send", "--system", "--print-reply", "--dest=org.freedesktop.DBus", "/", "org.freedesktop.DBus.NameHasOwner",
           "string:org.freedesktop.PolicyKit1"]
    wait_for("polkitd", lambda: "true" in kitehost.run(*ask, check=False).stdout, 10)
    os.chmod(WORK, 0o755)
    settings(daemon, 'auth_unix_rw = "polkit"\nauth_unix_ro = "polkit"\nunix_sock_rw_perms = "0777"\nunix_sock_ro_perms = "0777"')
    path = write("polkit.xml", domain_xml("polkit", serial_log=False))
    os.chmod(path, 0o644)
    virsh("list", "--all")
    status, text = as_user("games", "define", path)
    assert status == 0, text
    status, text = as_user("daemon", "list")
    assert status == 1 and "authentication failed: access denied by policy" in text, text
    status, text = as_user("nobody", "list")
    assert status == 1 and "authentication unavailable: no polkit agent available to authenticate action 'org.libvirt.unix.manage'" in text, text
    # reading is allowed to all by libvirt's policy
    status, text = as_user("nobody", "-r", "list", "--all", "--name")
    assert status == 0 and text == "polkit", text
    status, text = as_user("nobody", "-r", "start", "polkit")
    assert status == 1, text
    if not PEER:  # libvirtd ends with its bus
        bus_dies(daemon)
    for process in processes[-2:]:
        process.kill()
        process.wait()
    assert daemon.alive()
    shutil.rmtree("/run/dbus")
    settings(daemon, 'auth_unix_rw = "none"\nauth_unix_ro = "none"')
    virsh("undefine", "polkit")


def auth_file(user, password):
    path = write("auth.conf", "[credentials-test]\nauthname=%s\npassword=%s\n\n[auth-libvirt-localhost]\ncredentials=test\n"
                 % (user, password))
    return path


@case
def sasl_scram(daemon):
    """SCRAM over TCP and the UNIX socket: the right password opens, a wrong one does not, an unknown name neither"""
    need("saslpasswd2")
    os.makedirs("/etc/sasl2", exist_ok=True)
    with open("/etc/sasl2/libvirt.conf", "w") as f:
        f.write("mech_list: scram-sha-256\nsasldb_path: %s/passwd.db\n" % WORK)
    kitehost.run("saslpasswd2", "-p", "-c", "-a", "libvirt", "-f", WORK + "/passwd.db", "fred", input="geheim", stdin=None)
    settings(daemon, 'auth_unix_rw = "sasl"\nauth_unix_ro = "none"')
    uri = "%s:///system?authfile=%s" % (SCHEME, auth_file("fred", "geheim"))
    assert virsh("list", "--all", uri=uri) == ""
    uri = "%s:///system?authfile=%s" % (SCHEME, auth_file("fred", "falsch"))
    status, text = virsh("list", uri=uri, check=False)
    assert status == 1 and "authentication failed" in text, text
    uri = "%s:///system?authfile=%s" % (SCHEME, auth_file("joe", "geheim"))
    status, text = virsh("list", uri=uri, check=False)
    assert status == 1 and "authentication failed" in text, text
    settings(daemon, 'sasl_allowed_username_list = [ "ann@*" ]\nauth_unix_rw = "sasl"\nauth_unix_ro = "none"')
    uri = "%s:///system?authfile=%s" % (SCHEME, auth_file("fred", "geheim"))
    status, text = virsh("list", uri=uri, check=False)
    assert status == 1 and "authentication failed" in text, text
    virsh("-r", "list")
    # TCP demands encryption, which SCRAM does not bring.
    settings(daemon, 'listen_tls = 0\nlisten_tcp = 1\nauth_tcp = "sasl"\nauth_unix_rw = "none"\nlisten_addr = "127.0.0.1"', "--listen")
    status, text = virsh("list", uri="%s+tcp://localhost/system?authfile=%s" % (SCHEME, auth_file("fred", "geheim")), check=False)
    assert status == 1 and "authentication" in text, text


@case
def tcp_without_authentication(daemon):
    """plain TCP with auth_tcp = "none" serves; it is not called secure"""
    settings(daemon, 'listen_tls = 0\nlisten_tcp = 1\nauth_tcp = "none"\nauth_unix_rw = "none"\nlisten_addr = "127.0.0.1"', "--listen")
    assert virsh("hostname", uri=SCHEME + "+tcp://localhost/system")
    kitehost.run("/usr/bin/python3", "-c", "import libvirt; c = libvirt.open('%s+tcp://127.0.0.1/system');"
                 "assert c.isSecure() == 0 and c.isEncrypted() == 0" % SCHEME)


@case
def kerberos(daemon):
    """GSSAPI against a KDC of our own: a ticket opens an encrypted connection over TCP; without one nothing does"""
    need("krb5kdc", "kdb5_util", "kadmin.local", "kinit")
    if not os.path.exists("/usr/lib/x86_64-linux-gnu/sasl2/libgssapiv2.so"):
        raise kitehost.Skip("libsasl2-modules-gssapi-mit is not installed")
    os.makedirs("/etc/krb5kdc", exist_ok=True)
    os.makedirs("/var/lib/krb5kdc", exist_ok=True)
    with open("/etc/krb5.conf", "w") as f:
        f.write("[libdefaults]\ndefault_realm = KITE.TEST\ndns_lookup_kdc = false\ndns_canonicalize_hostname = false\nrdns = false\n"
                "[realms]\nKITE.TEST = {\n kdc = 127.0.0.1:8888\n}\n[domain_realm]\nlocalhost = KITE.TEST\n")
    with open("/etc/krb5kdc/kdc.conf", "w") as f:
        f.write("[kdcdefaults]\nkdc_ports = 8888\nkdc_tcp_ports = 8888\n[realms]\nKITE.TEST = {\n"
                " database_name = %s/principal\n key_stash_file = %s/stash\n}\n" % (WORK, WORK))
    kitehost.run("kdb5_util", "create", "-s", "-r", "KITE.TEST", "-P", "masterkey")
    kitehost.run("kadmin.local", "-q", "addprinc -pw geheim fred")
    host = os.uname().nodename  # the name that SASL gives the service
    with open("/etc/hosts", "a") as f:
        f.write("127.0.0.1 %s\n" % host)
    kitehost.run("kadmin.local", "-q", "addprinc -randkey libvirt/" + host)
    kitehost.run("kadmin.local", "-q", "ktadd -k %s/libvirt.tab libvirt/%s" % (WORK, host))
    background("krb5kdc", "-n")
    with open("/etc/sasl2/libvirt.conf", "w") as f:
        f.write("mech_list: gssapi\nkeytab: %s/libvirt.tab\n" % WORK)
    daemon.env["KRB5_KTNAME"] = WORK + "/libvirt.tab"
    settings(daemon, 'listen_tls = 0\nlisten_tcp = 1\nauth_tcp = "sasl"\nauth_unix_rw = "none"\nlisten_addr = "127.0.0.1"', "--listen")
    uri = "%s+tcp://%s/system" % (SCHEME, host)
    status, text = virsh("list", uri=uri, check=False)
    assert status == 1 and "authentication failed" in text, text

    def ticket():
        return kitehost.run("kinit", "fred", input="geheim\n", stdin=None, check=False).returncode == 0
    wait_for("a ticket", ticket, 20, 0.3)
    virsh("list", uri=uri)
    kitehost.run("/usr/bin/python3", "-c", "import libvirt; c = libvirt.open('%s');"
                 "assert c.isSecure() == 1 and c.isEncrypted() == 1" % uri)
    kitehost.run("kdestroy")
    settings(daemon, 'auth_unix_rw = "none"')


def certificate(name, template, ca=False):
    base = "%s/pki/%s" % (WORK, name)
    os.makedirs(WORK + "/pki", exist_ok=True)
    with open(base + ".info", "w") as f:
        f.write(template)
    kitehost.run("certtool", "--generate-privkey", "--bits", "2048", "--outfile", base + ".key", stderr=subprocess.DEVNULL)
    args = ["--generate-self-signed"] if ca else ["--generate-certificate", "--load-ca-certificate", WORK + "/pki/ca.pem",
                                                  "--load-ca-privkey", WORK + "/pki/ca.key"]
    kitehost.run("certtool", *args, "--load-privkey", base + ".key", "--template", base + ".info", "--outfile", base + ".pem")
    return base


def client_pki(folder, certificate=None, ca="ca"):
    path = "%s/%s" % (WORK, folder)
    os.makedirs(path, exist_ok=True)
    shutil.copy("%s/pki/%s.pem" % (WORK, ca), path + "/cacert.pem")
    if certificate:
        shutil.copy(certificate + ".pem", path + "/clientcert.pem")
        shutil.copy(certificate + ".key", path + "/clientkey.pem")
    return "%s+tls://localhost/system?pkipath=%s" % (SCHEME, path)


@case
def tls(daemon):
    """TLS with client certificates: our CA's client is served, another CA's, none and one not on the list are not"""
    need("certtool")
    certificate("ca", "cn = Test CA\nca\ncert_signing_key\n", ca=True)
    server = certificate("server", "cn = localhost\ndns_name = localhost\ntls_www_server\nencryption_key\nsigning_key\n")
    client = certificate("client", "organization = Kite\ncn = fred\ntls_www_client\nencryption_key\nsigning_key\n")
    certificate("ca2", "cn = Other CA\nca\ncert_signing_key\n", ca=True)
    stranger = WORK + "/pki/stranger"
    kitehost.run("sh", "-c", "cp {0}/client.info {0}/stranger.info; cp {0}/client.key {0}/stranger.key; certtool --generate-certificate "
                 "--load-ca-certificate {0}/ca2.pem --load-ca-privkey {0}/ca2.key --load-privkey {0}/stranger.key --template "
                 "{0}/stranger.info --outfile {0}/stranger.pem".format(WORK + "/pki"))
    conf = ('listen_tls = 1\nlisten_addr = "127.0.0.1"\nauth_tls = "none"\nauth_unix_rw = "none"\nkey_file = "%s.key"\ncert_file = "%s.pem"\n'
            'ca_file = "%s/pki/ca.pem"\n' % (server, server, WORK))
    settings(daemon, conf, "--listen")
    good = client_pki("good", client)
    assert virsh("hostname", uri=good)
    kitehost.run("/usr/bin/python3", "-c", "import libvirt; c = libvirt.open('%s');"
                 "assert c.isSecure() == 1 and c.isEncrypted() == 1" % good)
    for folder, mine in (("stranger", stranger), ("none", None)):
        status, text = virsh("list", uri=client_pki(folder, mine), check=False)
        assert status == 1, (folder, text)
    settings(daemon, conf + 'tls_allowed_dn_list = [ "*CN=ann*" ]\n', "--listen")
    status, text = virsh("list", uri=good, check=False)
    assert status == 1, text
    settings(daemon, conf + 'tls_allowed_dn_list = [ "*CN=fred*" ]\n', "--listen")
    virsh("list", uri=good)
    assert daemon.alive()


@case
def ssh(daemon):
    """ssh transport: virt-ssh-helper and netcat at the other end, read-write and read-only"""
    settings(daemon, 'auth_unix_rw = "none"\nauth_unix_ro = "none"')
    program = write("ssh", "#!/bin/sh\n# what ssh would run there: the last word is a command for a shell\n"
                    "for last; do :; done\necho \"$last\" >>%s/ssh.log\nexec sh -c \"$last\"\n" % WORK)
    os.chmod(program, 0o755)
    socket = kitehost.SOCKET
    for proxy in ("native", "netcat", "auto"):
        if proxy != "native" and not shutil.which("nc"):
            continue
        if proxy != "netcat" and not shutil.which("virt-ssh-helper"):
            continue
        uri = "%s+ssh://there/system?command=%s&proxy=%s&no_verify=1" % (SCHEME, program, proxy)
        if proxy == "netcat":
            uri += "&socket=" + socket
        assert virsh("hostname", uri=uri), proxy
        status, text = virsh("-r", "define", "/dev/null", uri=uri.replace("&socket=" + socket, ""), check=False)
        assert status == 1, text
    with open(WORK + "/ssh.log") as f:
        print("# " + f.read().replace("\n", "\n# "))


def teardown(daemon):
    for process in processes:
        process.kill()
        process.wait()
    daemon.stop()


if __name__ == "__main__":
    kitehost.enter()
    sys.exit(kitehost.main(setup, teardown))
