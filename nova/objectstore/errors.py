"""S3's errors: a code, a status and words. Source: Amazon S3 API reference, "List of error codes"."""

# What is said unless whoever raises it knows better.
_ERRORS = {
    "AccessDenied": (403, "Access Denied"),
    "BadDigest": (400, "The Content-MD5 or checksum value that you specified did not match what the server received."),
    "BucketAlreadyOwnedByYou": (409, "The bucket that you tried to create already exists, and you own it."),
    "BucketNotEmpty": (409, "The bucket that you tried to delete is not empty."),
    "EntityTooLarge": (400, "Your proposed upload exceeds the maximum allowed object size."),
    "EntityTooSmall": (400, "Your proposed upload is smaller than the minimum allowed object size."),
    "IncompleteBody": (400, "You did not provide the number of bytes specified by the Content-Length HTTP header."),
    "InsufficientStorage": (507, "There is no space left for the object."),
    "InternalError": (500, "We encountered an internal error. Its cause is in the log, under this request's id."),
    "InvalidAccessKeyId": (403, "The access key ID that you provided does not exist in our records."),
    "InvalidArgument": (400, "Invalid argument."),
    "InvalidBucketName": (400, "The specified bucket is not valid."),
    "InvalidDigest": (400, "The Content-MD5 or checksum value that you specified is not valid."),
    "InvalidPart": (400, "One or more of the specified parts could not be found, or its entity tag does not match."),
    "InvalidPartOrder": (400, "The list of parts was not in ascending order."),
    "InvalidRange": (416, "The requested range is not satisfiable."),
    "InvalidRequest": (400, "The request is not valid."),
    "InvalidToken": (400, "The provided token is malformed or otherwise not valid."),
    "InvalidURI": (400, "The specified URI couldn't be parsed."),
    "KeyTooLongError": (400, "Your key is too long."),
    "MalformedXML": (400, "The XML that you provided was not well formed or did not validate."),
    "MetadataTooLarge": (400, "Your metadata headers exceed the maximum allowed metadata size."),
    "MethodNotAllowed": (405, "The specified method is not allowed against this resource."),
    "MissingContentLength": (411, "You must provide the Content-Length HTTP header."),
    "NoSuchBucket": (404, "The specified bucket does not exist."),
    "NoSuchBucketPolicy": (404, "The bucket policy does not exist."),
    "NoSuchKey": (404, "The specified key does not exist."),
    "NoSuchUpload": (404, "The specified multipart upload does not exist."),
    "NotImplemented": (501, "A header or parameter that you provided implies functionality that is not implemented."),
    "PreconditionFailed": (412, "At least one of the preconditions that you specified did not hold."),
    "QuotaExceeded": (403, "The bucket's quota does not allow for this object."),
    "RequestTimeout": (400, "Your socket connection to the server was not read from or written to in time."),
    "RequestTimeTooSkewed": (403, "The difference between the request time and the server's time is too large."),
    "ServiceUnavailable": (503, "Reduce your request rate, or try again later."),
    "SignatureDoesNotMatch": (403, "The request signature that the server calculated does not match yours."),
    "TooManyBuckets": (400, "You have attempted to create more buckets than allowed."),
    "XAmzContentSHA256Mismatch": (400, "The provided x-amz-content-sha256 header does not match what was computed."),
}

# How a refusal is called that comes from below, where no one knows S3.
_OF_STATUS = {
    400: "InvalidRequest",
    408: "RequestTimeout",
    413: "EntityTooLarge",
    414: "InvalidURI",
    500: "InternalError",
}


class S3Error(Exception):
    """A refusal. fields stand in the error's document beside its code; headers go with the answer."""

    def __init__(self, code: str, message: str = "", headers: dict[str, str] | None = None, **fields: str) -> None:
        self.code = code
        self.status, text = _ERRORS[code]
        self.message = message or text
        self.headers = headers or {}
        self.fields = fields
        super().__init__(f"{code}: {self.message}")


def code_of(status: int) -> str:
    """The code for an HTTP status alone."""
    if status in _OF_STATUS:
        return _OF_STATUS[status]
    return "InvalidRequest" if status < 500 else "ServiceUnavailable"


def not_implemented(what: str) -> S3Error:
    """For what S3 has and this store does not, so that a client is told instead of served differently."""
    return S3Error("NotImplemented", f"{what} is not implemented here.")
