from rest_framework import generics, serializers

from opportunities.models import Opportunity


class OpportunitySerializer(serializers.ModelSerializer):
    # Taken from the token, never from the body: read-only here.
    createdBy = serializers.UUIDField(source="created_by_id", read_only=True)
    createdAt = serializers.DateTimeField(source="created_at", read_only=True)

    class Meta:
        model = Opportunity
        fields = ["id", "title", "description", "category", "createdBy", "createdAt"]


class Opportunities(generics.ListCreateAPIView):
    queryset = Opportunity.objects.all()
    serializer_class = OpportunitySerializer

    def list(self, request, *args, **kwargs):
        answer = super().list(request, *args, **kwargs)
        answer.data = {"opportunities": answer.data}
        return answer

    def perform_create(self, serializer):
        serializer.save(created_by=self.request.user)
