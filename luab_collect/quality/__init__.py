"""How well the work is done: figures of annotators and pages of work, and what rules propose.

    PageResult -> facts (one page) -> figures (an annotator, the project) -> rules -> proposals

Everything here is a function of finished pages and of what is known of some images (gold). Rules only
propose, with the figures that they rest on; a person decides, with a reason.
"""
