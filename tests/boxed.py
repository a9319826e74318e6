"""Images with objects in them, and official box files."""

from PIL import Image

OFFICIAL = """<annotation>
	<folder>val</folder>
	<filename>ILSVRC2012_val_00000002</filename>
	<source><database>ILSVRC_2012</database></source>
	<size><width>500</width><height>375</height><depth>3</depth></size>
	<segmented>0</segmented>
	{objects}
</annotation>"""
OBJECT = (
    "<object><name>{}</name><pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>"
    "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
)


def box_xml(*objects: tuple) -> bytes:
    return OFFICIAL.format(objects="".join(OBJECT.format(*each) for each in objects)).encode()


def picture(width: int, height: int, *squares: tuple[int, int, int, int, str]) -> Image.Image:
    """A black image with rectangles x0, y0, x1, y1 (ends excluded) in a colour."""
    image = Image.new("RGB", (width, height))
    for *box, colour in squares:
        image.paste(colour, tuple(box))
    return image
