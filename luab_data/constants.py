"""Column names and sentinels of the dataset rows, named once."""

# Columns of both datasets.
IMAGE = "image"
IMAGE_ID = "image_id"
ANNOTATIONS = "annotations"

# Columns of a single-label dataset (ImageNet-AB).
LABEL = "label"
CLASS_NAME = "class_name"
CLICK = "click"

# Columns of a multi-label dataset (COCO-AB), and the detection column that evaluation reads.
LABELS = "labels"
POINTS = "points"
OBJECTS = "objects"

# Further columns of human attention; `luab_attention.columns` has their layout.
SCANPATHS = "scanpaths"
ATTENTION_SOURCE = "attention_source"  # how scanpaths were recorded
MASKS = "masks"
HEATMAPS = "heatmaps"
SHUFFLED = "byproducts_shuffled"  # of a control: whether the row's byproducts are another image's

# ClassLabel's own value for "no label": an image whose class is not among the dataset's classes.
NO_LABEL = -1
# The class of a box, point or mask that is none of those of the labels.
OTHER_CLASS = -2

TRAIN = "train"
WIDTH, HEIGHT = "width", "height"  # pixels of the image that boxes and points in pixels refer to
APPLE_DOUBLE = "._"  # begins the names of the files that macOS writes beside others, in archives too
