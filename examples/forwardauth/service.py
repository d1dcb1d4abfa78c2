from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import unquote
import sys


class Service(BaseHTTPRequestHandler):
    def do_GET(self):
        caller = unquote(self.headers["X-Apikey-Name"] or "anonymous")
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"hello {caller}\n".encode())


server = HTTPServer(("127.0.0.1", int(sys.argv[1])), Service)
print(f"Listening on 127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
