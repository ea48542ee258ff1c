"""Facts about this API that schemathesis cannot read from the OpenAPI document."""

import schemathesis

# NDJSON has one item per line. The OpenAPI document declares text, because the item fields depend on the operation.
schemathesis.serializer.alias("application/x-ndjson", "text/plain")


@schemathesis.hook
def before_load_schema(ctx, raw_schema):
    """Adds the schema of a stream event. OpenAPI 3.1 cannot express it; OpenAPI 3.2 has `itemSchema` for it."""
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
