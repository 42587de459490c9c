"""Who is known: the people of every collection, and who a face belongs to."""

from app.gallery.gallery import Gallery
from app.gallery.inspection import Finding
from app.gallery.once import Mark
from app.gallery.pages import Page
from app.gallery.reembed_job import Progress
from app.gallery.served import ServedModel
from app.gallery.unchanged import UNCHANGED, Unchanged
from app.store.audit_rows import Act
from app.store.replies import Reply

__all__ = [
    "UNCHANGED",
    "Act",
    "Finding",
    "Gallery",
    "Mark",
    "Page",
    "Progress",
    "Reply",
    "ServedModel",
    "Unchanged",
]
