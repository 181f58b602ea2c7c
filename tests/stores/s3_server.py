"""S3 over HTTP, as far as `S3Objects` asks for it: a `Bucket` behind a server on 127.0.0.1."""

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree

import botocore.exceptions

from tests.stores.bucket import Bucket

NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bucket: Bucket

    def log_message(self, format, *args):
        pass

    def answer(self, status=200, body=b"", **headers):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def body(self):
        """As it was sent; proxies send it in chunks."""
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while length := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(length))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def where(self):
        """Key, and query."""
        parts = urlsplit(self.path)
        key = unquote(parts.path).lstrip("/").partition("/")[2]
        return key, {name: value[0] for name, value in parse_qs(parts.query, keep_blank_values=True).items()}

    @contextlib.contextmanager
    def errors(self):
        try:
            yield
        except botocore.exceptions.ClientError as error:
            code = error.response["Error"]["Code"]
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            self.answer(status, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode())

    def do_PUT(self):
        (key, _), body = self.where(), self.body()
        with self.errors():
            self.bucket.put_object(Bucket="", Key=key, Body=body, IfNoneMatch=self.headers.get("If-None-Match"))
            self.answer(ETag='"tag"')

    def do_GET(self):
        (key, query), _ = self.where(), self.body()  # the proxy sends an empty one, in chunks
        with self.errors():
            if key:
                got = self.bucket.get_object(Bucket="", Key=key, Range=self.headers["Range"])
                self.answer(206, got["Body"].read(), Content_Range=got["ContentRange"])
            elif "uploads" in query:
                self.answer(body=b"<ListMultipartUploadsResult></ListMultipartUploadsResult>")
            else:
                self.list(query)

    def list(self, query):
        token = {"ContinuationToken": query["continuation-token"]} if "continuation-token" in query else {}
        page = self.bucket.list_objects_v2(Bucket="", Prefix=query.get("prefix", ""), **token)
        entries = "".join(f"<Contents><Key>{entry['Key']}</Key></Contents>" for entry in page["Contents"])
        entries += f"<IsTruncated>{str(page['IsTruncated']).lower()}</IsTruncated>"
        if page["IsTruncated"]:
            entries += f"<NextContinuationToken>{page['NextContinuationToken']}</NextContinuationToken>"
        self.answer(body=f"<ListBucketResult>{entries}</ListBucketResult>".encode())

    def do_POST(self):
        tree = ElementTree.fromstring(self.body())
        keys = [{"Key": element.text} for element in tree.iter(f"{NAMESPACE}Key")]
        self.bucket.delete_objects(Bucket="", Delete={"Objects": keys})
        self.answer(body=b"<DeleteResult></DeleteResult>")


@contextlib.contextmanager
def s3_server():
    """Its URL and its bucket, whatever that is called."""
    bucket = Bucket()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("BucketHandler", (Handler,), {"bucket": bucket}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", bucket
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
