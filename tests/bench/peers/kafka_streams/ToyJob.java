package cn.shouwang.peers;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.processor.api.ContextualProcessor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The toy job of toy.py on Kafka Streams: exactly once, one thread, state in RocksDB and its changelog topic, and a
 * commit every 100 ms, which is the default with exactly once. The environment says where (place.py).
 */
public final class ToyJob {
    private static final long[] THRESHOLDS_FEN = {400_000, 900_000, 1_300_000, 1_700_000};
    private static final String COUNTERS = "counters";

    private ToyJob() {}

    /** Runs until killed. */
    public static void main(String[] arguments) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, given("GROUP"));
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, given("KAFKA"));
        settings.put(StreamsConfig.STATE_DIR_CONFIG, given("STATE_DIRECTORY"));
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put("auto.offset.reset", "earliest");

        Topology topology = new Topology();
        topology.addSource("events", Serdes.String().deserializer(), Serdes.ByteArray().deserializer(),
            given("EVENTS_TOPIC"));
        Path firstEvent = Path.of(given("FIRST_EVENT"));
        topology.addProcessor("fold", () -> new Fold(firstEvent), "events");
        // Caching, as its DSL does it: one changelog record for each household and commit.
        topology.addStateStore(
            Stores.keyValueStoreBuilder(
                Stores.persistentKeyValueStore(COUNTERS), Serdes.String(), Serdes.ByteArray()).withCachingEnabled(),
            "fold");
        topology.addSink("alerts", given("ALERTS_TOPIC"), Serdes.String().serializer(),
            Serdes.ByteArray().serializer(), "fold");

        KafkaStreams streams = new KafkaStreams(topology, settings);
        streams.setUncaughtExceptionHandler(failure -> {
            failure.printStackTrace();
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        streams.setStateListener((now, before) -> {
            if (now == KafkaStreams.State.ERROR) {
                Runtime.getRuntime().halt(1);
            }
        });
        streams.start();
    }

    private static String given(String name) {
        String value = System.getenv("PEERS_" + name);
        if (value == null) {
            throw new IllegalStateException("PEERS_" + name + " is not set");
        }
        return value;
    }

    /** Counts, adds up, grades, and forwards an alert when the grade has changed. */
    private static final class Fold extends ContextualProcessor<String, byte[], String, byte[]> {
        private final ObjectMapper json = new ObjectMapper();
        private final Path firstEvent;
        private KeyValueStore<String, byte[]> counters;
        private boolean told;

        Fold(Path firstEvent) {
            this.firstEvent = firstEvent;
        }

        @Override
        public void init(ProcessorContext<String, byte[]> context) {
            super.init(context);
            counters = context.getStateStore(COUNTERS);
        }

        @Override
        public void process(Record<String, byte[]> record) {
            if (!told) {
                tellFirst();
            }
            try {
                JsonNode event = json.readTree(record.value());
                count(record, event.get("subject").textValue(), event.get("data").get("amount_fen").longValue());
            } catch (IOException failure) {
                throw new UncheckedIOException(failure);
            }
        }

        private void count(Record<String, byte[]> record, String household, long amountFen) throws IOException {
            byte[] stored = counters.get(household);
            ByteBuffer before = ByteBuffer.wrap(stored == null ? new byte[20] : stored);
            long events = before.getLong() + 1;
            long totalFen = before.getLong() + amountFen;
            int old = before.getInt();
            int now = gradeOf(totalFen);
            counters.put(household, ByteBuffer.allocate(20).putLong(events).putLong(totalFen).putInt(now).array());
            if (now != old) {
                Map<String, Object> alert = new LinkedHashMap<>();
                alert.put("household_id", household);
                alert.put("events", events);
                alert.put("old", old);
                alert.put("new", now);
                context().forward(record.withValue(json.writeValueAsBytes(alert)));
            }
        }

        private static int gradeOf(long totalFen) {
            int grade = 0;
            while (grade < THRESHOLDS_FEN.length && totalFen >= THRESHOLDS_FEN[grade]) {
                grade++;
            }
            return grade;
        }

        private void tellFirst() {
            told = true;
            try {
                // Each partition has a processor of its own; the first of them makes the file.
                if (!Files.exists(firstEvent)) {
                    Files.createFile(firstEvent);
                }
            } catch (IOException failure) {
                throw new UncheckedIOException(failure);
            }
        }
    }
}
