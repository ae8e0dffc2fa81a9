"""The program `sync` of a Sandbox: asks the server to commit the Volumes at the given paths."""

import socket
import sys
from pathlib import Path

url, paths = sys.argv[1], [str(Path(p).resolve()) for p in sys.argv[2:] if p[0] != "-"]
host, _, path = url.removeprefix("http://").partition("/")
name, _, port = host.partition(":")
body = "\n".join(paths).encode()
head = f"POST /{path} HTTP/1.0\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
with socket.create_connection((name, int(port))) as connection:
    connection.sendall(head.encode() + body)
    answer = b""
    while chunk := connection.recv(65536):
        answer += chunk
error = answer.partition(b"\r\n\r\n")[2].decode()
if error:
    sys.exit(f"sync: error syncing: {error}")
