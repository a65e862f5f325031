"""What a file says of itself before anything is decoded: what limits are checked against."""

from dataclasses import dataclass, field

from datasets.common.images import decode
from datasets.common.images.formats import Source, sniff, stream


@dataclass(frozen=True)
class Header:
    """Format, one of `FORMATS`, and size, as stored: the camera may have been turned."""

    format: str
    width: int
    height: int
    frames: int = 1
    """Images that `read` gives: 1, or the frames of a DICOM file."""
    series: str = field(default="", repr=False)
    """What a DICOM file says that it belongs to, its SeriesInstanceUID."""

    @property
    def pixels(self) -> int:
        """Width times height, of all frames together."""
        return self.width * self.height * self.frames


def header(content: Source) -> Header:
    """The header of `content`, at a cost far below decoding. Raises `BadImage`."""
    with stream(content) as file:
        name = sniff(file)
        if name != "DICOM":
            return Header(name, *decode.size(file, name))
        from datasets.common.images import dicom  # a second of imports that others do without

        known = dicom.read_header(file)
        return Header(name, known.Columns, known.Rows, dicom.frames(known), dicom.series(known))
