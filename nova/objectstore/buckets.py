"""What is done with buckets."""

from collections.abc import Callable

from nova.objectstore.documents import document, parse, timestamp
from nova.objectstore.errors import S3Error, not_implemented
from nova.objectstore.listing import list_objects, shown_as
from nova.objectstore.payload import Payload
from nova.objectstore.request import Answer, Request, check_key
from nova.objectstore.store import Project

_MOST_DELETED = 1000


class Buckets:
    """region is where buckets say they are."""

    def __init__(self, region: str) -> None:
        self._region = region

    def list_buckets(self, request: Request, project: Project, payload: Payload) -> Answer:
        """GET /. A project that never had a bucket has an empty list."""
        buckets = [{"Name": bucket.name, "CreationDate": timestamp(bucket.created)} for bucket in project.buckets()]
        content = {"Owner": _owner(request), "Buckets": {"Bucket": buckets}}
        return Answer.document("ListAllMyBucketsResult", content)

    def create(self, request: Request, project: Project, payload: Payload) -> Answer:
        """Any LocationConstraint is taken. Raises S3Error for other configuration, and for a bucket that there is."""
        raw = payload.document()
        if raw:
            for element in parse(raw, "CreateBucketConfiguration"):
                if element.tag == "LocationConstraint" and element.text:
                    # One region is all there is; clients name the one that they sign for.
                    continue
                raise not_implemented(f"{element.tag} of a bucket")
        project.add_bucket(request.bucket)
        return Answer(headers={"Location": f"/{request.bucket}"})

    def head(self, request: Request, project: Project, payload: Payload) -> Answer:
        """Raises S3Error (NoSuchBucket), whose answer has no body."""
        with project.reading(request.bucket):
            return Answer(headers={"x-amz-bucket-region": self._region})

    def delete(self, request: Request, project: Project, payload: Payload) -> Answer:
        """Raises S3Error for a bucket that has objects; unfinished uploads go with it."""
        project.delete_bucket(request.bucket)
        return Answer(204)

    def location(self, request: Request, project: Project, payload: Payload) -> Answer:
        """The region clients sign for, whatever was asked for when the bucket was made."""
        with project.reading(request.bucket):
            pass
        # The one document whose value is its root's own text.
        body = (
            document("LocationConstraint", {}).removesuffix(b" />") + f">{self._region}</LocationConstraint>".encode()
        )
        return Answer(200, {"Content-Type": "application/xml"}, [body])

    def versioning(self, request: Request, project: Project, payload: Payload) -> Answer:
        """An empty document: versioning was never enabled."""
        with project.reading(request.bucket):
            return Answer.document("VersioningConfiguration", {})

    def policy(self, request: Request, project: Project, payload: Payload) -> Answer:
        """No bucket has a policy: always raises S3Error."""
        with project.reading(request.bucket):
            raise S3Error("NoSuchBucketPolicy", BucketName=request.bucket)

    def access_control(self, request: Request, project: Project, payload: Payload) -> Answer:
        """Of a bucket or an object: its project may do everything, nobody else anything."""
        if request.key:
            project.object(request.bucket, request.key)
        with project.reading(request.bucket):
            return Answer.document("AccessControlPolicy", {"Owner": _owner(request)})

    def list_objects(self, request: Request, project: Project, payload: Payload) -> Answer:
        with project.reading(request.bucket) as transaction:
            return list_objects(request, transaction)

    def delete_objects(self, request: Request, project: Project, payload: Payload) -> Answer:
        """All of them or none; a key that is not there counts as deleted. Raises S3Error for more than 1000."""
        root = parse(payload.document(), "Delete")
        keys = [element.findtext("Key") or "" for element in root.iter("Object")]
        if not 0 < len(keys) <= _MOST_DELETED:
            raise S3Error("MalformedXML", f"1 to {_MOST_DELETED} objects can be deleted at once.")
        if any(element.find(name) is not None for element in root.iter("Object") for name in ("VersionId", "ETag")):
            raise not_implemented("Deletion of a version, or by ETag, in a list")
        for key in keys:
            check_key(key)
        project.delete(request.bucket, keys, _whatever)
        is_quiet = root.findtext("Quiet") == "true"
        return Answer.document("DeleteResult", {"Deleted": [] if is_quiet else [{"Key": key} for key in keys]})

    def list_uploads(self, request: Request, project: Project, payload: Payload) -> Answer:
        """Unfinished uploads by key, then id, behind key-marker and upload-id-marker."""
        given, shown = request.parameters, shown_as(request)
        if given.get("delimiter"):
            raise not_implemented("delimiter in a list of uploads")
        limit = request.number("max-uploads", 1000, 1000)
        prefix = given.get("prefix", "").encode()
        marker, marked = given.get("key-marker", "").encode(), given.get("upload-id-marker", "")
        if marker < prefix:
            marker, marked = prefix, ""
        elif marker and not marked:
            marker += b"\0"
        with project.reading(request.bucket) as transaction:
            found = transaction.uploads(request.bucket, marker, marked, limit + 1)
        uploads = [upload for upload in found if upload.key.encode().startswith(prefix)]
        is_truncated, uploads = len(uploads) > limit, uploads[:limit]
        content = {
            "Bucket": request.bucket,
            "KeyMarker": shown(given.get("key-marker", "")),
            "UploadIdMarker": marked,
            "Prefix": shown(given.get("prefix", "")),
            "EncodingType": given.get("encoding-type"),
            "MaxUploads": limit,
            "IsTruncated": is_truncated,
            "NextKeyMarker": shown(uploads[-1].key) if is_truncated and uploads else None,
            "NextUploadIdMarker": uploads[-1].id if is_truncated and uploads else None,
            "Upload": [
                {
                    "Key": shown(upload.key),
                    "UploadId": upload.id,
                    "Initiator": _owner(request),
                    "Owner": _owner(request),
                    "StorageClass": "STANDARD",
                    "Initiated": timestamp(upload.created),
                }
                for upload in uploads
            ],
        }
        return Answer.document("ListMultipartUploadsResult", content)


Handler = Callable[[Request, Project, Payload], Answer]


def _owner(request: Request) -> dict[str, str]:
    return {"ID": request.context.project_id, "DisplayName": request.context.project_id}


def _whatever(entry: object) -> None:
    """No condition."""
