"""Simulated annotators who work on the real server over HTTP: the load test, the demo, and what CI uses.

    people (model, seeds) -> a page's events (select_page, place_page) -> client (HTTP, paced) -> report

The minds and hands are those of the simulated releases: `imagenet_ab.simulate`, `coco_ab.simulate`.
"""
