"""A small server on localhost that speaks the judge's part of OpenAI's API, and misbehaves when it is told to."""

import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from isheep.engine.engine import Completion, Request, Sampling

FAULTS = ("429", "500", "hang", "close", "garbage", "not json", "no choices", "no usage")
"""What a request may meet instead of an answer, and a judge must survive."""

SECONDS_OF_A_HANG = 20


class JudgeServer:
    """Answers on `url` until the `with` block ends.

    answer: the completion of a request, whose id is its prompt as one text. fault: for (prompt, how often it was
    asked before), one of FAULTS, an HTTP status, "broke" (the account has no money), "die" (no connection is served any
    more), or None. delay: seconds
    that each answer takes. key: what a client must send. port: 0 takes a free one, which then is `port`.

    Afterwards tells for each prompt how often it was `asked` and well `answered`, the tokens of all answers that a
    provider could charge for, lost ones included (`prompt_tokens`, `completion_tokens`), the `bodies` and
    `authorizations` of all requests, and the most requests under way at once (`most_at_once`).
    """

    def __init__(
        self,
        answer: Callable[[Request], Completion] | None = None,
        fault: Callable[[str, int], str | None] = lambda prompt, times: None,
        delay: float = 0.0,
        key: str | None = None,
        port: int = 0,
    ):
        self.answer, self.fault, self.delay, self.key = answer or echo, fault, delay, key
        self.asked, self.answered = Counter(), Counter()
        self.prompt_tokens = self.completion_tokens = self.most_at_once = 0
        self.bodies, self.authorizations = [], []
        self.port = port
        self.lock, self.ending, self.dead = threading.Lock(), threading.Event(), False
        self._at_once = 0

    def __enter__(self) -> "JudgeServer":
        handler = type("Handler", (_Handler,), {"judge": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self._http.daemon_threads = True
        self.port = self._http.server_port
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.ending.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def die(self) -> None:
        """Refuse new connections from now on, and drop those that are open."""
        self.dead = True
        self._http.socket.close()

    def under_way(self, change: int) -> None:
        with self.lock:
            self._at_once += change
            self.most_at_once = max(self.most_at_once, self._at_once)

    def meet(self, request: Request) -> str | None:
        """Count a request and say what it meets."""
        with self.lock:
            times = self.asked[request.id]
            self.asked[request.id] += 1
        return self.fault(request.id, times)

    def charge(self, completion: Completion) -> None:
        with self.lock:
            self.prompt_tokens += completion.prompt_tokens
            self.completion_tokens += completion.completion_tokens


def echo(request: Request) -> Completion:
    """A text that tells prompt, seed and temperature; a token is a word."""
    content = json.dumps([request.prompt, request.seed, request.sampling.temperature])
    text = f"Judged {hashlib.sha256(content.encode()).hexdigest()[:12]}. [[7]]"
    return Completion(request.id, text, "stop", len(request.id.split()), len(text.split()))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    judge: JudgeServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        judge = self.judge
        judge.bodies.append(body)
        judge.authorizations.append(self.headers["Authorization"])
        if judge.dead:
            self.close_connection = True
            return
        judge.under_way(1)
        try:
            self._respond(body)
        finally:
            judge.under_way(-1)

    def _respond(self, body: dict) -> None:
        judge, request = self.judge, read_request(body)
        sent = self.headers["Authorization"]
        if judge.key and sent != f"Bearer {judge.key}":
            return self._send(401, {"error": {"message": f"Incorrect API key provided: {sent}"}})
        time.sleep(judge.delay)
        fault = judge.meet(request)
        if fault == "die":
            judge.die()
            self.close_connection = True
            return None
        if fault == "429":
            return self._send(429, {"error": {"message": f"slow down, {sent}"}}, {"Retry-After": "0.05"})
        if fault == "broke":
            return self._send(429, {"error": {"message": "no money", "code": "insufficient_quota"}})
        if fault and fault.isdigit():
            return self._send(int(fault), {"error": {"message": f"a fault of {fault} for {sent}"}})
        completion = judge.answer(request)
        judge.charge(completion)
        answer = (chat_answer if "messages" in body else text_answer)(completion)
        if fault is None:
            # Counted first: the client may be done and look before this thread goes on.
            with judge.lock:
                judge.answered[request.id] += 1
            return self._send(200, answer)
        return self._spoil(fault, answer)

    def _spoil(self, fault: str, answer: dict) -> None:
        if fault == "hang":
            self.judge.ending.wait(SECONDS_OF_A_HANG)
            self.close_connection = True
        elif fault == "close":
            self._send(200, answer, cut=True)
        elif fault == "garbage":
            self._send(200, {"hello": "world", "choices": [{}]})
        elif fault == "not json":
            self._send(200, "<html>502 Bad Gateway</html>")
        elif fault == "no choices":
            self._send(200, answer | {"choices": []})
        elif fault == "no usage":
            self._send(200, {key: value for key, value in answer.items() if key != "usage"})
        else:
            raise ValueError(fault)

    def _send(self, status: int, content: dict | str, headers: dict | None = None, cut: bool = False) -> None:
        data = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if isinstance(content, dict) else "text/html")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)
        self.wfile.flush()
        if cut:
            self.close_connection = True

    def log_message(self, *_) -> None:
        """Keep the tests' output clean."""


def read_request(body: dict) -> Request:
    """The request that a body asks for; its id is the prompt, or the last message, as text."""
    prompt = body["messages"] if "messages" in body else body["prompt"]
    logprobs = body["top_logprobs"] if body.get("logprobs") is True else body.get("logprobs") or 0
    sampling = Sampling(
        temperature=body["temperature"],
        top_p=body["top_p"],
        max_tokens=body.get("max_tokens") or body["max_completion_tokens"],
        stop=tuple(body.get("stop", ())),
        top_logprobs=logprobs,
    )
    text = prompt if isinstance(prompt, str) else prompt[-1]["content"]
    return Request(text, prompt, sampling, body.get("seed", 0))


def chat_answer(completion: Completion) -> dict:
    """The body of an answer of /chat/completions."""
    tokens = [
        _token(place.token, place.logprob) | {"top_logprobs": [_token(*other) for other in place.top.items()]}
        for place in completion.logprobs or ()
    ]
    return {
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": completion.text},
                "finish_reason": completion.finish_reason,
                "logprobs": {"content": tokens} if completion.logprobs is not None else None,
            }
        ],
        "usage": _usage(completion),
    }


def text_answer(completion: Completion) -> dict:
    """The body of an answer of /completions."""
    places = completion.logprobs
    columns = places and {
        "tokens": [place.token for place in places],
        "token_logprobs": [place.logprob for place in places],
        "top_logprobs": [place.top for place in places],
    }
    return {
        "object": "text_completion",
        "choices": [
            {"index": 0, "text": completion.text, "finish_reason": completion.finish_reason, "logprobs": columns}
        ],
        "usage": _usage(completion),
    }


def _token(text: str, logprob: float) -> dict:
    return {"token": text, "logprob": logprob, "bytes": list(text.encode())}


def _usage(completion: Completion) -> dict:
    return {
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": completion.completion_tokens,
        "total_tokens": completion.prompt_tokens + completion.completion_tokens,
    }
