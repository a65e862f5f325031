"""Decode and resize images once, into one file that every epoch reads."""

import hashlib
import logging
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from rich.progress import track

from conf.schema import ImageDataset, Transform, plain
from datasets.common.contract import Images
from datasets.common.fetching import disk
from datasets.common.fetching.locks import Lock
from datasets.common.images import READER, Window, read_image
from models import cover
from train.common.data.types import DecodedImages

log = logging.getLogger(__name__)


def decode(
    images: Images, dataset: ImageDataset, transform: Transform, cache: Path
) -> DecodedImages:
    """Decode, resize and cover every image once, as `transform` says, into `<cache>/pixels/`.

    The file is a uint8 `.npy` (N, S, S, 3), S being `transform.image_size`. Images are written one
    at a time, so memory does not grow with N. The key of the file is made of the images' digests,
    the reader, the DICOM window of `dataset`, what is hidden and S; the next run reuses a complete
    file. If two runs need the same file, one decodes and the other waits.
    """
    size = transform.image_size
    seen = "".join(images.frame["sha256"]) + f"{plain(dataset.dicom)} {READER}"
    if cover.hides(transform):
        seen += f" {transform.hide_border} {transform.hide_inset}"
    key = hashlib.sha256(seen.encode()).hexdigest()[:16]
    path = cache / "pixels" / f"{images.name}-{key}-{size}.npy"
    decoded = DecodedImages(**vars(images), pixels=path)
    shape = (len(images.frame), size, size, 3)
    if not disk.whole_array(path, np.uint8, shape):
        with disk.writing(path.parent), Lock(path.with_suffix(".lock"), f"{path}", wait=True):
            if not disk.whole_array(path, np.uint8, shape):
                _decode(images, dataset, transform, path, shape)
                return decoded
    log.info("pixels: reusing %s", path)
    return decoded


def _decode(
    images: Images, dataset: ImageDataset, transform: Transform, path: Path, shape: tuple[int, ...]
) -> None:
    disk.remove_drafts(path)
    disk.need(path.parent, int(np.prod(shape)))
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}

    window = Window(dataset.dicom.centre, dataset.dicom.width)
    mask = cover.mask(transform, shape[1])

    def one(file: str) -> bytes:
        return (read_image(Path(file), dataset.max_pixels, window, shape[1]) * mask).tobytes()

    # A plain file: if the disk is full, a write to a memory map would kill the process.
    with (
        ThreadPoolExecutor(transform.workers) as pool,
        disk.atomic_write(path) as draft,
        draft.open("wb") as out,
    ):
        np.lib.format.write_array_header_1_0(out, header)
        pixels = _in_order(pool, one, images.frame["path"].tolist())
        for image in track(pixels, "decoding", total=shape[0], transient=True):
            out.write(image)


def _in_order(
    pool: ThreadPoolExecutor, work: Callable[[str], bytes], files: list[str], ahead: int = 64
) -> Iterator[bytes]:
    """Results of `work(file)` in the order of `files`, with at most `ahead` of them waiting."""
    waiting: deque[Future[bytes]] = deque()
    for file in files:
        waiting.append(pool.submit(work, file))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
