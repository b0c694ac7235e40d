"""Who asks: the signature is read here and checked by Keystone."""

from nova.clients.s3_credentials import S3Credentials
from nova.clients.signed_requests import AccessKeyUnknown, SignatureInvalid
from nova.http.wsgi import CONTEXT
from nova.objectstore import signature
from nova.objectstore.errors import S3Error
from nova.objectstore.request import Request
from nova.objectstore.signature import ChunkSigner, Signed

_READS = ("GET", "HEAD")
_READER = "reader"


class Authentication:
    def __init__(self, credentials: S3Credentials) -> None:
        self._credentials = credentials

    def identify(self, request: Request) -> Signed:
        """Put the caller's identity on a request. Raises S3Error, errors.Unavailable."""
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

    def chunk_signer(self, request: Request, signed: Signed) -> ChunkSigner:
        """What checks the signatures inside a body: for these Keystone has to give the secret away."""
        secret = self._credentials.secret(request.context.user_id, signed.access, request.id)
        return ChunkSigner(secret, signed)
