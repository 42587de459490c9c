"""Who is known: the people of every collection, and who a face belongs to."""

from app.gallery.gallery import Gallery
from app.gallery.inspection import Finding
from app.gallery.once import Mark
from app.gallery.pages import Page
from app.gallery.unchanged import UNCHANGED, Unchanged
from app.store.replies import Reply

__all__ = ["UNCHANGED", "Finding", "Gallery", "Mark", "Page", "Reply", "Unchanged"]
