from django.urls import path

from accounts import views as accounts
from opportunities.views import Opportunities

urlpatterns = [
    path("health", accounts.health),
    path("api/v1/opportunities", Opportunities.as_view()),
    path("api/v1/members/me", accounts.KnownMember.as_view()),
    path("api/v1/claims", accounts.ClaimsOnly.as_view()),
]
