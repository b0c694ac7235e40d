"""Who asks: the signature is read here and checked by Keystone.

A service of this cloud reads an object in a project's name, with its own token: the conductor, when it registers an image.
"""

from nova.clients.objects import PROJECT_HEADER
from nova.clients.s3_credentials import S3Credentials
from nova.clients.signed_requests import AccessKeyUnknown, SignatureInvalid
from nova.http.wsgi import CONTEXT
from nova.objectstore import signature
from nova.objectstore.errors import S3Error
from nova.objectstore.request import Request
from nova.objectstore.signature import UNSIGNED, ChunkSigner, Signed
from nova.structs.context import Context

_READS = ("GET", "HEAD")
_READER = "reader"
_PROJECT = PROJECT_HEADER.lower()


class Authentication:
    def __init__(self, credentials: S3Credentials) -> None:
        self._credentials = credentials

    def identify(self, request: Request) -> Signed:
        """Put the caller's identity on a request. Raises S3Error, errors.Unavailable."""
        if _PROJECT in request.headers:
            return self._service_reader(request)
        signed = signature.read(request)
        try:
            context = self._credentials.check(signed.access, signed.string_to_sign, signed.signature, request.id)
        except AccessKeyUnknown:
            raise S3Error("InvalidAccessKeyId", AWSAccessKeyId=signed.access) from None
        except SignatureInvalid:
            raise S3Error("SignatureDoesNotMatch", AWSAccessKeyId=signed.access) from None
        request.environ[CONTEXT] = context
        if request.method not in _READS and set(context.roles) <= {_READER}:
            raise S3Error("AccessDenied", "Your role in the project lets you read only.")
        return signed

    def _service_reader(self, request: Request) -> Signed:
        token, project_id = request.headers.get("x-auth-token", ""), request.headers[_PROJECT]
        may_ask = request.method in _READS and request.key and not request.query and token and project_id
        if not may_ask or not self._credentials.is_service(token, request.id):
            raise S3Error("AccessDenied")
        request.environ[CONTEXT] = Context(project_id=project_id, roles=(_READER,), request_id=request.id)
        return Signed("", "", "", "", "", UNSIGNED)

    def chunk_signer(self, request: Request, signed: Signed) -> ChunkSigner:
        """What checks the signatures inside a body: for these Keystone has to give the secret away."""
        secret = self._credentials.secret(request.context.user_id, signed.access, request.id)
        return ChunkSigner(secret, signed)
