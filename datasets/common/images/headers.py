"""The header of a file, read before anything is decoded: limits are checked against it."""

from dataclasses import dataclass, field

from datasets.common.images import decode
from datasets.common.images.formats import Source, sniff, stream


@dataclass(frozen=True)
class Header:
    """Format, one of `FORMATS`, and size as stored, before the EXIF orientation is applied."""

    format: str
    width: int
    height: int
    frames: int = 1
    """Number of images that `read` gives: 1, or the frames of a DICOM file."""
    series: str = field(default="", repr=False)
    """SeriesInstanceUID of a DICOM file."""

    @property
    def pixels(self) -> int:
        """Width times height times frames."""
        return self.width * self.height * self.frames


def header(content: Source) -> Header:
    """The header of `content`, at a cost far below decoding. Raises `BadImage`."""
    with stream(content) as file:
        name = sniff(file)
        if name != "DICOM":
            return Header(name, *decode.size(file, name))
        from datasets.common.images import dicom  # takes a second, and only DICOM needs it

        known = dicom.read_header(file)
        return Header(name, known.Columns, known.Rows, dicom.frames(known), dicom.series(known))
