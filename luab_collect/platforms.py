"""Where annotators come from: own links, Prolific, or any platform by the parameters of an address."""

LINK, PROLIFIC, URL = "link", "prolific", "url"
PLATFORMS = (LINK, PROLIFIC, URL)

PSEUDONYM = "pseudonym"
CALLED_BY = (PSEUDONYM, *PLATFORMS)  # an annotator's pseudonym, the name of her link, or her id at a platform
