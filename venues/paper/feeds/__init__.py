"""Market data for the paper venue: synthetic or recorded."""

from venues.paper.feeds.base import Feed as Feed
from venues.paper.feeds.base import parse_speed as parse_speed
from venues.paper.feeds.build import build_feed as build_feed
from venues.paper.feeds.build import check_feed as check_feed
