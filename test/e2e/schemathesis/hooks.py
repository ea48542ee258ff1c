"""What schemathesis cannot know of this API by itself."""

import schemathesis

# Items, one a line. They are a text to the document, because their fields depend on the operation.
schemathesis.serializer.alias("application/x-ndjson", "text/plain")


@schemathesis.hook
def before_load_schema(ctx, raw_schema):
    """OpenAPI 3.1 has no words for one event of a stream, 3.2 has; so each is held against what it tells of."""
    stream = raw_schema["paths"]["/v1/batches/{batchId}/events"]["get"]["responses"]["200"]["content"]
    batch = {"$ref": "#/components/schemas/Batch"}
    stream["text/event-stream"] = {
        "itemSchema": {
            "type": "object",
            "properties": {
                "event": {"enum": ["progress", "end"]},
                "data": {"type": "string", "contentMediaType": "application/json", "contentSchema": batch},
            },
            "required": ["event", "data"],
        }
    }
