"""The pool's front over HTTP: XML-RPC calls, the content of VDIs, and guests' screens."""

import contextlib
import http.server
import inspect
import os
import socket
import socketserver
import tempfile
import threading
import urllib.parse
import xmlrpc.client
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.simulators.xenserver.host_calls import SessionCalls
from tests.simulators.xenserver.model import CLASSES, Access, Failure, check
from tests.simulators.xenserver.store import Record

if TYPE_CHECKING:
    from tests.simulators.xenserver.pool import Pool

_CHUNK = 1 << 20
_NAMES = {"from": "from_"}


class Front(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """One host of the pool on its own address."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, pool: "Pool", address: str, sessions: SessionCalls, handlers: dict[str, Any]) -> None:
        self.pool = pool
        self.sessions = sessions
        self._handlers = handlers
        host, _, port = address.partition(":")
        super().__init__((host, int(port)), Request)

    def call(self, name: str, arguments: list[Any]) -> Any:
        """One call's value. Raises Failure."""
        class_name, _, method = name.partition(".")
        if class_name == "session":
            return self._invoke(self.sessions, name, method, arguments)
        if not arguments:
            raise Failure("MESSAGE_PARAMETER_COUNT_MISMATCH", name, 1, 0)
        self.sessions.check(arguments.pop(0))
        if class_name == "Async":
            return self._begin(method, arguments)
        handler = self._handlers.get(class_name)
        if hasattr(handler, _NAMES.get(method, method)) and not method.startswith("_"):
            return self._invoke(handler, name, _NAMES.get(method, method), arguments)
        if class_name not in CLASSES:
            raise Failure("MESSAGE_METHOD_UNKNOWN", name)
        return self._read_or_set(class_name, method, arguments)

    def _invoke(self, handler: object, name: str, method: str, arguments: list[Any]) -> Any:
        function = getattr(handler, method, None)
        if function is None or method.startswith("_"):
            raise Failure("MESSAGE_METHOD_UNKNOWN", name)
        parameters = inspect.signature(function).parameters
        least = sum(parameter.default is parameter.empty for parameter in parameters.values())
        if not least <= len(arguments) <= len(parameters):
            raise Failure("MESSAGE_PARAMETER_COUNT_MISMATCH", name, len(parameters), len(arguments))
        for argument, (label, parameter) in zip(arguments, parameters.items(), strict=False):
            if parameter.annotation in (str, bool) and not isinstance(argument, parameter.annotation):
                raise Failure("FIELD_TYPE_ERROR", label)
        return function(*arguments)

    def _begin(self, name: str, arguments: list[Any]) -> str:
        """Do a call in a task of its own."""
        tasks = self._handlers["task"]
        task: str = tasks.begin(f"Async.{name}")
        session = next(iter(self.sessions.sessions))

        def run() -> None:
            outcome: Any
            try:
                outcome = self.call(name, [session, *arguments])
            except Failure as failure:
                outcome = failure
            with contextlib.suppress(Failure):
                tasks.end(task, outcome)

        threading.Thread(target=run, daemon=True).start()
        return task

    def end_task(self, task: str | None, failure: Failure | None) -> None:
        """End a transfer's task, if it was given one."""
        if task is not None:
            with contextlib.suppress(Failure):
                self._handlers["task"].end(task, failure)

    def _read_or_set(self, class_name: str, method: str, arguments: list[Any]) -> Any:
        """The calls that every class has by its fields."""
        store, fields = self.pool.store, CLASSES[class_name]
        if method == "get_all":
            return list(store.all(class_name))
        if method == "get_all_records":
            return store.all(class_name)
        if not arguments:
            raise Failure("MESSAGE_PARAMETER_COUNT_MISMATCH", f"{class_name}.{method}", 2, 1)
        if method == "get_all_records_where":
            return _matching(store.all(class_name), str(arguments[0]))
        if method == "get_by_uuid":
            for reference, record in store.all(class_name).items():
                if record["uuid"] == arguments[0]:
                    return reference
            raise Failure("UUID_INVALID", class_name, arguments[0])
        if method == "get_by_name_label" and "name_label" in fields:
            return [ref for ref, record in store.all(class_name).items() if record["name_label"] == arguments[0]]
        verb, _, name = method.partition("_")
        if verb not in ("get", "set", "add", "remove"):
            raise Failure("MESSAGE_METHOD_UNKNOWN", f"{class_name}.{method}")
        record = store.get(class_name, arguments[0])
        if method == "get_record":
            return dict(record)
        if verb == "get" and (name in fields or name == "uuid"):
            return record[name]
        if verb in ("add", "remove"):
            return self._change_entry(class_name, verb, name.partition("_")[2], arguments)
        if verb == "set" and name in fields and fields[name].access is Access.OPEN and len(arguments) == 2:
            check(class_name, name, arguments[1])
            store.change(class_name, arguments[0], **{name: arguments[1]})
            return ""
        raise Failure("MESSAGE_METHOD_UNKNOWN", f"{class_name}.{method}")

    def _change_entry(self, class_name: str, verb: str, name: str, arguments: list[Any]) -> str:
        store, field = self.pool.store, CLASSES[class_name].get(name)
        if field is None or field.access is not Access.OPEN or field.kind != "map":
            raise Failure("MESSAGE_METHOD_UNKNOWN", f"{class_name}.{verb}_{name}")
        reference, key, *value = arguments
        entries: dict[str, str] = dict(store.get(class_name, reference)[name])
        if verb == "add" and key in entries:
            raise Failure("MAP_DUPLICATE_KEY", class_name, name, reference, key)
        entries = {k: v for k, v in entries.items() if k != key} | ({key: value[0]} if verb == "add" else {})
        check(class_name, name, entries)
        store.change(class_name, reference, **{name: entries})
        return ""


def _matching(records: dict[str, Record], expression: str) -> dict[str, Record]:
    """The simplest of the query language: field "name" = "text", several of them joined by and."""
    if expression == "true":
        return records
    for part in expression.split(" and "):
        words = part.strip().split('"')
        if len(words) != 5 or words[0].strip() != "field" or words[2].strip() != "=":
            raise Failure("INTERNAL_ERROR", f"cannot parse {expression}")
        wanted = {"true": True, "false": False}.get(words[3], words[3])
        records = {ref: record for ref, record in records.items() if record.get(words[1]) in (wanted, words[3])}
    return records


class Request(http.server.BaseHTTPRequestHandler):
    server: Front
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *arguments: Any) -> None:
        """Nothing: calls says it."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        arguments, name = xmlrpc.client.loads(body, use_builtin_types=True)
        assert name is not None
        pool = self.server.pool
        pool.calls.append(name)

        def make() -> bytes:
            answer: dict[str, Any]
            try:
                answer = {"Status": "Success", "Value": self.server.call(name, list(arguments))}
            except Failure as failure:
                answer = {"Status": "Failure", "ErrorDescription": list(failure.args)}
            except (TypeError, ValueError, KeyError, AttributeError) as error:
                answer = {"Status": "Failure", "ErrorDescription": ["INTERNAL_ERROR", repr(error)]}
            return xmlrpc.client.dumps((answer,), methodresponse=True, allow_none=True).encode()

        try:
            body = pool.around(name, make)
        except Exception:
            self._break_off()
            return
        self._answer(200, body, "text/xml")

    def do_PUT(self) -> None:
        """The content of a VDI comes."""
        query = self._query("/import_raw_vdi")
        if query is None:
            return
        left = int(self.headers["Content-Length"])
        with tempfile.NamedTemporaryFile(dir=self.server.pool.directory, suffix=".part", delete=False) as file:
            while left and (chunk := self.rfile.read(min(left, _CHUNK))):
                file.write(chunk)
                left -= len(chunk)
        body, failure = Path(file.name), self.server.pool.transfer_failure
        if failure is not None:
            os.truncate(body, body.stat().st_size // 2)

        def make() -> bytes:
            try:
                if left:
                    raise Failure("VDI_IO_ERROR", "the data end early")
                self.server.pool.vdis.import_(query["vdi"], body, query.get("format", "raw"))
                self.server.end_task(query.get("task_id"), failure)
            except Failure as error:
                self.server.end_task(query.get("task_id"), failure or error)
            return b""

        try:
            # A failure is told on the task alone.
            self._answer(200, self.server.pool.around("import_raw_vdi", make), "text/plain")
        except Exception:
            self._break_off()
        finally:
            body.unlink(missing_ok=True)

    def do_GET(self) -> None:
        """The content of a VDI goes: as it comes, to the connection's end."""
        query, pool = self._query("/export_raw_vdi"), self.server.pool
        if query is None:
            return
        try:
            content = pool.vdis.export(query["vdi"], query.get("format", "raw"))
        except Failure as failure:
            self.server.end_task(query.get("task_id"), failure)
            self._answer(500, " ".join(failure.args).encode(), "text/plain")
            return
        with content as file:
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            left = int(os.fstat(file.fileno()).st_size * pool.exported_share)
            while left and (chunk := file.read(min(left, _CHUNK))):
                self.wfile.write(chunk)
                left -= len(chunk)
        self.server.end_task(query.get("task_id"), pool.transfer_failure)

    def do_CONNECT(self) -> None:
        """A guest's screen: RFB, after the answer's head."""
        query = self._query("/console")
        if query is None:
            return
        try:
            console = self.server.pool.store.get("console", query["ref"])
            guest = self.server.pool.vms.guests[console["VM"]]
            screen = guest.screen()
        except (Failure, KeyError, OSError):
            self._answer(404, b"", "text/plain")
            return
        self.send_response(200, "OK")
        self.end_headers()
        back = threading.Thread(target=_relay, args=(screen, self.connection), daemon=True)
        back.start()
        _relay(self.connection, screen)
        back.join(5)
        self.close_connection = True

    def _query(self, path: str) -> dict[str, str] | None:
        """The request's parameters; None when it has been answered, with what is wrong with it."""
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        try:
            if parts.path != path:
                self._answer(404, b"", "text/plain")
                return None
            self.server.sessions.check(query.get("session_id"))
        except Failure:
            self._answer(401, b"", "text/plain")
            return None
        self.server.pool.calls.append(path.strip("/"))
        return query

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _break_off(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


def _relay(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
