"""A bucket in this process: answers as an S3 client does, and fails when told to."""

import io
import threading

import botocore.exceptions


def client_error(code, status=400):
    response = {"Error": {"Code": code, "Message": "told to"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return botocore.exceptions.ClientError(response, "Operation")


class Bucket:
    """`faults` are (operation, exception or number of bytes after which a body breaks off), used up one by one."""

    def __init__(self):
        self.objects, self.uploads, self.calls, self.faults = {}, {}, [], []
        self._lock = threading.Lock()

    def _called(self, operation, arguments):
        with self._lock:
            self.calls.append((operation, arguments))
            for position, (name, fault) in enumerate(self.faults):
                if name == operation:
                    del self.faults[position]
                    return fault
        return None

    def __getattr__(self, operation):
        if operation.startswith("_"):
            raise AttributeError(operation)

        def call(**arguments):
            fault = self._called(operation, arguments)
            if isinstance(fault, Exception):
                raise fault
            reply = getattr(self, "_" + operation)(**arguments)
            if isinstance(fault, LostReply):
                raise botocore.exceptions.ReadTimeoutError(endpoint_url="told to")
            if isinstance(fault, int):
                reply["Body"] = io.BytesIO(reply["Body"].read()[:fault])
            return reply

        return call

    def names(self):
        return [name for name, _ in self.calls]

    def _put_object(self, Bucket, Key, Body, IfNoneMatch=None):
        if IfNoneMatch == "*" and Key in self.objects:
            raise client_error("PreconditionFailed", 412)
        self.objects[Key] = bytes(Body)
        return {}

    def _get_object(self, Bucket, Key, Range):
        if Key not in self.objects:
            raise client_error("NoSuchKey", 404)
        first, last = map(int, Range.removeprefix("bytes=").split("-"))
        value = self.objects[Key]
        if first >= len(value):
            raise client_error("InvalidRange", 416)
        part = value[first : last + 1]
        where = f"bytes {first}-{first + len(part) - 1}/{len(value)}"
        return {"Body": io.BytesIO(part), "ContentLength": len(part), "ContentRange": where}

    def _create_multipart_upload(self, Bucket, Key):
        with self._lock:
            self.uploads[f"upload {len(self.calls)}"] = {}
            return {"UploadId": list(self.uploads)[-1]}

    def _upload_part(self, Bucket, Key, UploadId, PartNumber, Body):
        self.uploads[UploadId][PartNumber] = Body
        return {"ETag": f"tag {PartNumber}"}

    def _complete_multipart_upload(self, Bucket, Key, UploadId, MultipartUpload, IfNoneMatch):
        if Key in self.objects:
            raise client_error("PreconditionFailed", 412)
        parts = self.uploads.pop(UploadId)
        self.objects[Key] = b"".join(parts[part["PartNumber"]] for part in MultipartUpload["Parts"])
        return {}

    def _abort_multipart_upload(self, Bucket, Key, UploadId):
        self.uploads.pop(UploadId, None)
        return {}

    def _list_multipart_uploads(self, Bucket, Prefix, **marker):
        return {"Uploads": [{"Key": Prefix + "k", "UploadId": upload} for upload in self.uploads]}

    def _delete_objects(self, Bucket, Delete):
        for entry in Delete["Objects"]:
            self.objects.pop(entry["Key"], None)
        return {}

    def _list_objects_v2(self, Bucket, Prefix, ContinuationToken=""):
        keys = sorted(key for key in self.objects if key.startswith(Prefix) and key > ContinuationToken)
        page = {"Contents": [{"Key": key} for key in keys[:7]], "IsTruncated": len(keys) > 7}
        return page | ({"NextContinuationToken": keys[6]} if len(keys) > 7 else {})


class LostReply:
    """The request is carried out, its reply does not come."""
