import io.debezium.embedded.Connect;
import io.debezium.engine.ChangeEvent;
import io.debezium.engine.DebeziumEngine;
import java.io.FileReader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.connect.source.SourceRecord;

/**
 * Debezium's embedded engine as a relay: what the outbox event router yields goes into Kafka.
 *
 * <p>A batch is marked as processed once the brokers have acknowledged all of it, as Debezium Server
 * does. Arguments: the properties of the engine and of the producer. It ends when its standard input
 * does, so that it never outlives whoever started it.
 */
public final class DebeziumRelay {
    private final KafkaProducer<byte[], byte[]> kafka;

    private DebeziumRelay(KafkaProducer<byte[], byte[]> kafka) {
        this.kafka = kafka;
    }

    public static void main(String[] arguments) throws Exception {
        var bytes = new ByteArraySerializer();
        var kafka = new KafkaProducer<>(read(arguments[1]), bytes, bytes);
        var engine = DebeziumEngine.create(Connect.class)
                .using(read(arguments[0]))
                .notifying(new DebeziumRelay(kafka)::publish)
                .using(DebeziumRelay::end)
                .build();
        Executors.newSingleThreadExecutor().execute(engine);
        while (System.in.read() >= 0) {}
        Runtime.getRuntime().halt(0);
    }

    private void publish(
            List<ChangeEvent<SourceRecord, SourceRecord>> batch,
            DebeziumEngine.RecordCommitter<ChangeEvent<SourceRecord, SourceRecord>> committer)
            throws InterruptedException {
        var sent = new ArrayList<Future<?>>(batch.size());
        for (var each : batch) {
            if (each.value() != null && each.value().value() != null) {
                sent.add(kafka.send(record(each.value())));
            }
        }
        try {
            for (var each : sent) {
                each.get();
            }
        } catch (ExecutionException error) {
            throw new IllegalStateException("the brokers refuse a record", error);
        }
        for (var each : batch) {
            committer.markProcessed(each);
        }
        committer.markBatchFinished();
    }

    private static ProducerRecord<byte[], byte[]> record(SourceRecord source) {
        var headers = new RecordHeaders();
        source.headers().forEach(each -> headers.add(each.key(), bytes(each.value())));
        var key = bytes(source.key());
        return new ProducerRecord<>(source.topic(), null, null, key, bytes(source.value()), headers);
    }

    private static byte[] bytes(Object value) {
        if (value == null || value instanceof byte[]) {
            return (byte[]) value;
        }
        if (value instanceof ByteBuffer buffer) {
            var copy = new byte[buffer.remaining()];
            buffer.duplicate().get(copy);
            return copy;
        }
        return value.toString().getBytes(StandardCharsets.UTF_8);
    }

    private static Properties read(String path) throws Exception {
        var properties = new Properties();
        try (var reader = new FileReader(path, StandardCharsets.UTF_8)) {
            properties.load(reader);
        }
        return properties;
    }

    private static void end(boolean success, String message, Throwable error) {
        System.err.println("the engine has ended: " + message);
        if (error != null) {
            error.printStackTrace();
        }
        Runtime.getRuntime().halt(1);
    }
}
