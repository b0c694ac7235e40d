"""Sees to it that every image on its way arrives, or is given up and says why: who works on which, and who takes over."""

import errno
import logging
from collections.abc import Callable

from oslo_config import cfg

from nova import concurrency, errors, log_context
from nova.clients.image import Images
from nova.clock import utcnow
from nova.conductor.image_imports.arrival import Arrivals, Progress
from nova.db import image_imports
from nova.db.engine import Database
from nova.db.image_imports import Lease, LeaseLost

LOG = logging.getLogger(__name__)

# Each has a file as large as its image on this conductor's disk.
_AT_ONCE = 2
_LONGEST_PAUSE_S = 60.0
_MOST_TRIES = 3
# Conflict: the Image service still has an upload that broke off.
_PASSING = (errors.Unavailable, errors.Conflict)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class ImageImports:
    """One conductor's part in it."""

    def __init__(self, conf: cfg.ConfigOpts, db: Database, images: Images, arrivals: Arrivals) -> None:
        self._db = db
        self._images = images
        self.arrivals = arrivals
        self._lease_s = conf.conductor.lease_s
        self._poll_s = conf.conductor.poll_interval_s
        self._pool = concurrency.Pool(_AT_ONCE, "images")
        self._taken: dict[int, str] = {}
        self._is_stopping = False
        self._periodic: concurrency.Periodic | None = None

    def start(self) -> None:
        self._periodic = concurrency.Periodic(
            self._poll_s, self._take_due, "search for images on their way", at_once=True
        )

    def stop(self) -> None:
        """What is under way breaks off at its next chunk, and is another conductor's, or this one's next start's."""
        self._is_stopping = True
        if self._periodic is not None:
            self._periodic.stop()
        self._pool.close()

    def wake(self) -> None:
        """There is one whose time has come."""
        if self._periodic is not None:
            self._periodic.wake()

    def _take_due(self) -> None:
        for row_id, project_id in self._db.read(image_imports.due):
            # One project's images follow each other, so that it does not keep others waiting.
            if row_id not in self._taken and project_id not in self._taken.values():
                self._taken[row_id] = project_id
                self._pool.submit(self._take, row_id)

    def _take(self, row_id: int) -> None:
        try:
            held = self._db.write(lambda c: image_imports.lease(c, row_id, self._lease_s))
            if held is not None:
                log_context.follow(held.request_id, "", held.project_id)
                self._work(held)
        except LeaseLost:
            LOG.info("an image on its way was taken over, or is wanted no more")
        except errors.Unavailable as error:
            LOG.warning("an image on its way waits until it is tried again: %s", error)
        except Exception:
            LOG.exception("an image on its way cannot go on now; it is tried again")
        finally:
            self._taken.pop(row_id, None)
            self.wake()

    def _work(self, held: Lease) -> None:
        with _Renewing(self._db, held, self._lease_s) as renewing:
            if held.state == image_imports.PENDING:
                self._bring(held, renewing)
            else:
                self._remove(held)

    def _bring(self, held: Lease, renewing: "_Renewing") -> None:
        try:
            self.arrivals.bring(held, renewing.progress(lambda: self._is_stopping))
        except errors.ImageNotFound:
            LOG.info("image %s was deleted before it had its data", held.image_id)
        except LeaseLost:
            raise
        except Exception as error:
            self._failed(held, error, renewing.step)
            return
        self._db.write(lambda c: image_imports.finish(c, held))

    def _failed(self, held: Lease, error: Exception, step: str) -> None:
        """Try it again after a pause where that may help, while there is time."""
        known = _told(error)
        LOG.warning("image %s has not arrived: %s", held.image_id, known)
        # A full disk, or what nobody knows, does not get better by being tried for hours.
        is_hopeless = not isinstance(error, errors.DomainError) and held.attempt >= _MOST_TRIES
        if not isinstance(known, _PASSING) or is_hopeless or utcnow() >= held.deadline_at:
            reason = known.for_users
            self._db.write(lambda c: image_imports.give_up(c, held, reason))
            return
        pause_s = min(_LONGEST_PAUSE_S, 0.5 * 2.0 ** min(held.attempt, 10))
        self._db.write(lambda c: image_imports.put_off(c, held, pause_s, step))

    def _remove(self, held: Lease) -> None:
        """Of one that failed the row stays, and says why; one that nobody wants leaves nothing."""
        try:
            self._images.delete(held.image_id)
        except errors.Unavailable as error:
            LOG.warning("image %s is not removed yet: %s", held.image_id, error)
            self._db.write(lambda c: image_imports.put_off(c, held, _LONGEST_PAUSE_S, ""))
            return
        except errors.DomainError as error:
            LOG.error("image %s is left in the Image service without data: %s", held.image_id, error)
        end = image_imports.fail if held.state == image_imports.FAILING else image_imports.finish
        self._db.write(lambda c: end(c, held))


def _told(error: Exception) -> errors.DomainError:
    """What the image's user is told of it."""
    if isinstance(error, errors.DomainError):
        return error
    reason = "it failed, and its log says why"
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        reason = "it has no room to unpack the image"
    else:
        LOG.error("an image cannot be brought into the Image service", exc_info=error)
    return errors.Unavailable(service="The Compute service", reason=reason)


class _Renewing:
    """The lease of one image, renewed beside the work, which may wait for minutes for another service's answer."""

    def __init__(self, db: Database, held: Lease, lease_s: float) -> None:
        self._db = db
        self._held = held
        self._lease_s = lease_s
        self.step = ""
        self._is_lost = False

    def __enter__(self) -> "_Renewing":
        self._periodic = concurrency.Periodic(self._lease_s / 3, self._renew, "renewal of an image's lease")
        return self

    def __exit__(self, *_: object) -> None:
        self._periodic.cancel()

    def progress(self, is_stopping: Callable[[], bool]) -> Progress:
        """What the work tells of each chunk: it ends the work when the lease is lost, or this conductor stops."""

        def told(step: str) -> None:
            if step != self.step:
                self.step = step
                self._periodic.wake()
            if self._is_lost or is_stopping():
                raise LeaseLost()

        return told

    def _renew(self) -> None:
        try:
            self._db.write(lambda c: image_imports.renew(c, self._held, self._lease_s, self.step))
        except LeaseLost:
            self._is_lost = True
