# SPDX-License-Identifier: LGPL-2.1-or-later
"""A program on a terminal of its own: expect and send, nothing else."""
import os
import pty
import select
import signal
import time


class Terminal:
    def __init__(self, args):
        self.seen = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvp(args[0], args)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ChildProcessError, ProcessLookupError):
            pass
        os.close(self.fd)

    def read(self, timeout):
        if select.select([self.fd], [], [], timeout)[0]:
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                data = b""
            self.seen += data.decode(errors="replace")
            return bool(data)
        return True

    def expect(self, text, timeout):
        """Waits until text was printed; what came up to its end is forgotten."""
        end = time.monotonic() + timeout
        while text not in self.seen:
            left = end - time.monotonic()
            if left <= 0 or not self.read(min(left, 0.5)):
                raise AssertionError("no %r on the terminal; seen: %r" % (text, self.seen[-800:]))
        self.seen = self.seen.split(text, 1)[1]

    def send(self, text):
        os.write(self.fd, text.encode())

    def ask(self, text, answer, timeout):
        """Sends text until answer comes: a program that makes its terminal raw forgets what was typed before."""
        end = time.monotonic() + timeout
        while True:
            self.send(text)
            try:
                return self.expect(answer, 1)
            except AssertionError:
                if time.monotonic() > end:
                    raise

    def wait(self, timeout):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            self.read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return status
        raise AssertionError("the program on the terminal does not end")
