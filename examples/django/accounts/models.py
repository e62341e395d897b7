import uuid

from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    """A user of loopin-auth. `id` is the `user_id` there, and never changes; everything else may.

    The username is none of ours: loopin-auth has people with a phone and no username. So it is not unique here and may
    be empty, and nothing is looked up by it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    username = models.CharField(max_length=150, blank=True)

    # Django wants a unique field here; no user signs in to this project with it.
    USERNAME_FIELD = "id"
    REQUIRED_FIELDS = []
