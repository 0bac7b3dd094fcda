"""What stands on PATH as `bide` or `python`: has the process of kept_warm.py play the command, and ends as it ends.

    python -I -S kept_warm_client.py SOCKET PYTHON bide|python WORDS...

It imports nothing that is not built in, and so takes a hundredth of a second. What cannot be played runs as it would have.
"""

import _signal  # type: ignore[import-not-found]
import _socket
import marshal
import posix
import sys

PASSED_ON = (1, 2, 3, 10, 12, 15)
NOT_FOR_IT = 1000


def main() -> None:
    address, python, tool, *words = sys.argv[1:]
    line = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    line.connect(address)
    ignored = [number for number in PASSED_ON if _signal.getsignal(number) is _signal.SIG_IGN]
    for number in PASSED_ON:
        if number not in ignored:
            _signal.signal(number, lambda number, _: line.send(bytes([number])) and None)
    mask = posix.umask(0)
    asked = marshal.dumps((tool, words, posix.getcwd(), dict(posix.environ), ignored, mask))
    posix.umask(mask)
    files = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))
    head = len(asked).to_bytes(4, sys.byteorder)
    line.sendmsg([head], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, files)])
    line.sendall(asked)
    code = int(line.recv(8) or b"125")  # nothing: the process of all has ended
    if code == NOT_FOR_IT:
        posix.execve(python, [python, *(["-m", "bide"] if tool == "bide" else []), *words], posix.environ)
    if code < 0:
        if code not in (-9, -19):
            _signal.signal(-code, _signal.SIG_DFL)
        posix.kill(posix.getpid(), -code)
    posix._exit(code)


main()
