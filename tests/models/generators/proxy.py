"""A real HTTP server in between that passes requests on and, now and then, does its worst."""

import json
import threading
import urllib.request
from collections import Counter
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FAULTS = ("500", "429", "429 date", "503", "timeout", "cut", "cut body", "malformed", "wrong shape", "none")


class Proxy:
    """What the server saw.

    faults: Which fault the n-th request meets, from n = 0; "none" passes it on.
    answer: (parsed request) -> parsed answer, when there is no upstream.
    """

    def __init__(self, faults, answer=None, upstream=None):
        self.faults, self.answer, self.upstream = faults, answer, upstream
        self.lock, self.count = threading.Lock(), 0
        self.requests, self.headers, self.served = [], [], Counter()
        self.flying = self.most_flying = 0

    def next_fault(self):
        with self.lock:
            number, self.count = self.count, self.count + 1
        return self.faults(number)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def log_message(self, *args):
        pass

    def do_POST(self):
        proxy = self.server.proxy
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        body = json.loads(raw)
        with proxy.lock:
            proxy.requests.append(body)
            proxy.headers.append(dict(self.headers))
            proxy.flying += 1
            proxy.most_flying = max(proxy.most_flying, proxy.flying)
        self.in_flight = True
        try:
            self.meet(proxy, proxy.next_fault(), raw, body)
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            self.land()

    def land(self):
        """Count a request no longer, once and before its answer leaves: after that the client may send the next."""
        with self.server.proxy.lock:
            self.server.proxy.flying -= self.in_flight
        self.in_flight = False

    def meet(self, proxy, fault, raw, body):
        echo = f"rejected {self.headers.get('Authorization')} {self.headers.get('x-api-key')}"
        if fault.isdigit():
            self.reply(int(fault), {"error": {"message": echo}}, {"Retry-After": "0.01"} if fault == "429" else {})
        elif fault == "429 date":
            self.reply(429, {"error": "slow down"}, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})
        elif fault == "timeout":
            self.connection.settimeout(3)
            with suppress(TimeoutError):
                self.rfile.read(1)  # until the client hangs up
        elif fault == "cut":
            self.connection.close()
        elif fault == "cut body":
            self.reply(200, self.good(proxy, raw, body), cut=10)
        elif fault == "malformed":
            self.reply(200, None, raw=b'{"choices": [{"mess')
        elif fault == "wrong shape":
            self.reply(200, {"choices": []})
        elif fault == "redirect":
            self.reply(302, {}, {"Location": "http://127.0.0.1:9/elsewhere"})
        else:
            answer = self.good(proxy, raw, body)
            with proxy.lock:
                proxy.served[self.headers["Idempotency-Key"]] += 1
            self.reply(200, answer)

    def good(self, proxy, raw, body):
        if proxy.upstream is None:
            return proxy.answer(body)
        request = urllib.request.Request(proxy.upstream + self.path, raw, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.loads(response.read())

    def reply(self, status, value, headers=(), raw=None, cut=0):
        data = json.dumps(value).encode() if raw is None else raw
        self.land()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, text in dict(headers).items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(data[: len(data) - cut])


@contextmanager
def serving(faults=lambda number: "none", answer=None, upstream=None):
    """(base URL, Proxy) of a running server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.proxy = Proxy(faults, answer or openai_answer, upstream)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server.proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def openai_answer(body):
    """An answer that tells what was asked."""
    text = f"echo {len(body['messages'][-1]['content'])}"
    return {"choices": [{"message": {"role": "assistant", "content": text}}], "usage": {"completion_tokens": 7}}


def anthropic_answer(body):
    return {"content": [{"type": "text", "text": "hello"}], "usage": {"output_tokens": 3}}
