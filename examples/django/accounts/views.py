from django.http import JsonResponse
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.authentication import JWTAuthentication, JWTStatelessUserAuthentication


def health(_request):
    return JsonResponse({"status": "healthy"})


class KnownMember(APIView):
    """Only for people who have a row here."""

    authentication_classes = [JWTAuthentication]

    def get(self, request):
        return Response({"id": request.user.pk, "username": request.user.username})


class ClaimsOnly(APIView):
    """What the token says, without a look into the database."""

    authentication_classes = [JWTStatelessUserAuthentication]

    def get(self, request):
        return Response({"id": request.user.id, "role": request.user.role, "username": request.user.username})
