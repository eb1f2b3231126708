// One ATmega328P of libsimavr behind a flat C interface: inputs by calls, outputs as cycle-stamped records.
// The UART and the SPI clock are modelled here, because simavr 1.6 has neither at the part's own timing:
// two received bytes wait and a third is lost; a byte leaves while the next one waits; SPI takes 8 clocks.
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>
#include <simavr/sim_io.h>
#include <simavr/sim_irq.h>
#include <simavr/avr_adc.h>
#include <simavr/avr_eeprom.h>
#include <simavr/avr_ioport.h>
#include <simavr/avr_spi.h>
#include <simavr/avr_timer.h>
#include <simavr/avr_uart.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REC_TX = 1, REC_SPI = 2, REC_PIN = 3, REC_OVERRUN = 4, REC_RESET = 5 };
enum { UCSRA = 0xC0, UCSRB = 0xC1, UBRRL = 0xC4, UBRRH = 0xC5, UDR = 0xC6, TIFR1 = 0x36 };
enum { RXC = 0x80, TXC = 0x40, UDRE = 0x20, DOR = 0x08, U2X = 0x02, RXCIE = 0x80, UDRIE = 0x20, RXEN = 0x10 };
enum { RX_QUEUE = 1 << 20 };

typedef struct {
	uint64_t cycle;
	uint32_t value;
	uint8_t kind, index;
	uint16_t pad;
} record_t;

typedef struct {
	avr_t *avr;
	avr_uart_t *uart;
	avr_spi_t *spi;
	record_t *records;
	uint32_t count, capacity, dropped;
	// line to the chip: bytes with the cycle at which each may start
	uint8_t *line;
	uint64_t *line_from;
	uint32_t line_head, line_tail;
	int line_busy;
	uint8_t fifo[2];
	int fifo_count;
	int overrun;
	// line from the chip
	int shifting, buffered;
	uint8_t buffer;
	uint64_t rx_total, tx_total, overruns;
	uint64_t resets;
	int inputs_stale;
	const char *pins;  // port and bit of Arduino's pins, one after the other
	int pin_count;
	uint8_t inputs[20];
} sim_t;

// The registers used here (first UART, timer 1, MCUSR) have the same addresses in all of these.
static const struct {
	const char *mcu, *pins;
} boards[] = {
	{"atmega328p", "D0D1D2D3D4D5D6D7B0B1B2B3B4B5C0C1C2C3C4C5"},
	{"atmega2560", "E0E1E4E5G5E3H3H4H5H6B4B5B6B7"},
};

static void record(sim_t *s, uint8_t kind, uint8_t index, uint32_t value)
{
	if (s->count == s->capacity) {
		s->dropped++;
		return;
	}
	s->records[s->count++] = (record_t){.cycle = s->avr->cycle, .value = value, .kind = kind, .index = index};
}

static uint64_t byte_cycles(sim_t *s)
{
	uint32_t ubrr = s->avr->data[UBRRL] | (s->avr->data[UBRRH] & 15) << 8;
	return 10ull * (ubrr + 1) * ((s->avr->data[UCSRA] & U2X) ? 8 : 16);
}

static void raise_rx(sim_t *s)
{
	s->avr->data[UCSRA] |= RXC;
	if (s->avr->data[UCSRB] & RXCIE)
		avr_raise_interrupt(s->avr, &s->uart->rxc);
}

static void raise_udre(sim_t *s)
{
	s->avr->data[UCSRA] |= UDRE;
	if (s->avr->data[UCSRB] & UDRIE)
		avr_raise_interrupt(s->avr, &s->uart->udrc);
}

static void next_line_byte(sim_t *s, uint64_t from);

static avr_cycle_count_t line_byte_done(avr_t *avr, avr_cycle_count_t when, void *param)
{
	sim_t *s = param;
	uint8_t byte = s->line[s->line_tail % RX_QUEUE];
	s->line_tail++;
	s->line_busy = 0;
	s->rx_total++;
	if (avr->data[UCSRB] & RXEN) {
		if (s->fifo_count == 2) {
			// The part would hold it in the shift register until the next start bit; that is one byte time
			// more of patience than given here.
			s->overrun = 1;
			s->overruns++;
			record(s, REC_OVERRUN, 0, byte);
		} else {
			s->fifo[s->fifo_count++] = byte;
			raise_rx(s);
		}
	}
	next_line_byte(s, when);
	return 0;
}

static void next_line_byte(sim_t *s, uint64_t from)
{
	if (s->line_busy || s->line_tail == s->line_head)
		return;
	uint64_t start = s->line_from[s->line_tail % RX_QUEUE];
	if (start < from)
		start = from;
	s->line_busy = 1;
	uint64_t done = start + byte_cycles(s);
	avr_cycle_timer_register(s->avr, done > s->avr->cycle ? done - s->avr->cycle : 1, line_byte_done, s);
}

static avr_cycle_count_t byte_sent(avr_t *avr, avr_cycle_count_t when, void *param)
{
	sim_t *s = param;
	s->tx_total++;
	if (s->buffered) {
		s->buffered = 0;
		record(s, REC_TX, 0, s->buffer);
		raise_udre(s);
		return when + byte_cycles(s);
	}
	s->shifting = 0;
	avr->data[UCSRA] |= TXC;
	return 0;
}

static void udr_write(avr_t *avr, avr_io_addr_t addr, uint8_t v, void *param)
{
	sim_t *s = param;
	avr->data[UCSRA] &= ~UDRE;
	if (!s->shifting) {
		s->shifting = 1;
		record(s, REC_TX, 0, v);
		avr_cycle_timer_register(avr, byte_cycles(s), byte_sent, s);
		raise_udre(s);
	} else {
		s->buffered = 1;
		s->buffer = v;
	}
}

static uint8_t udr_read(avr_t *avr, avr_io_addr_t addr, void *param)
{
	sim_t *s = param;
	uint8_t v = s->fifo[0];
	if (s->fifo_count == 0)
		return v;
	s->fifo[0] = s->fifo[1];
	s->overrun = 0;
	avr->data[UCSRA] &= ~RXC;
	if (--s->fifo_count)
		raise_rx(s);
	return v;
}

static uint8_t ucsra_read(avr_t *avr, avr_io_addr_t addr, void *param)
{
	sim_t *s = param;
	uint8_t v = avr->data[UCSRA] & (UDRE | TXC | U2X | 1);
	if (s->fifo_count)
		v |= RXC;
	if (s->overrun)
		v |= DOR;
	return avr->data[UCSRA] = v;
}

static void ucsra_write(avr_t *avr, avr_io_addr_t addr, uint8_t v, void *param)
{
	uint8_t old = avr->data[UCSRA];
	if (v & TXC)
		old &= ~TXC;
	avr->data[UCSRA] = (old & (RXC | UDRE | TXC)) | (v & (U2X | 1));
}

static void ucsrb_write(avr_t *avr, avr_io_addr_t addr, uint8_t v, void *param)
{
	sim_t *s = param;
	uint8_t old = avr->data[UCSRB];
	avr->data[UCSRB] = v;
	if ((v & UDRIE) && !(old & UDRIE) && (avr->data[UCSRA] & UDRE))
		raise_udre(s);
	if (!(v & RXEN))
		s->fifo_count = 0;
	if ((v & RXCIE) && !(old & RXCIE) && s->fifo_count)
		raise_rx(s);
}

static avr_cycle_count_t spi_done(avr_t *avr, avr_cycle_count_t when, void *param)
{
	sim_t *s = param;
	record(s, REC_SPI, 0, avr->data[s->spi->r_spdr]);
	avr_raise_interrupt(avr, &s->spi->spi);
	avr->data[s->spi->r_spsr] |= 0x80;
	return 0;
}

static void spdr_write(avr_t *avr, avr_io_addr_t addr, uint8_t v, void *param)
{
	sim_t *s = param;
	static const int dividers[4] = {4, 16, 64, 128};
	avr->data[addr] = v;
	avr->data[s->spi->r_spsr] &= ~0x80;
	int divider = dividers[avr->data[s->spi->r_spcr] & 3];
	if (avr->data[s->spi->r_spsr] & 1)
		divider /= 2;
	avr_cycle_timer_register(avr, 8 * divider, spi_done, s);
}

static uint8_t spdr_read(avr_t *avr, avr_io_addr_t addr, void *param)
{
	sim_t *s = param;
	avr->data[s->spi->r_spsr] &= ~0x80;
	return 0xFF;
}

// simavr clears every flag of the timer when one is written; the part clears those written as one.
static void tifr1_write(avr_t *avr, avr_io_addr_t addr, uint8_t v, void *param)
{
	avr_timer_t *timer = param;
	if (v & 1)
		avr_clear_interrupt(avr, &timer->overflow);
	for (int i = 0; i < 2; i++)
		if (v & (2 << i))
			avr_clear_interrupt(avr, &timer->comp[i].interrupt);
}

static void pin_changed(struct avr_irq_t *irq, uint32_t value, void *param)
{
	sim_t *s = ((void **)param)[0];
	record(s, REC_PIN, (uint8_t)(uintptr_t)((void **)param)[1], value & 1);
}

// A reset forgets every timer of simavr: the byte that was arriving is lost, but not those behind it.
static void after_reset(sim_t *s)
{
	s->fifo_count = s->overrun = s->shifting = s->buffered = 0;
	s->avr->data[UCSRA] = UDRE;
	avr_cycle_timer_cancel(s->avr, byte_sent, s);
	avr_cycle_timer_cancel(s->avr, line_byte_done, s);
	if (s->line_busy) {
		s->line_busy = 0;
		s->line_tail++;
		next_line_byte(s, s->avr->cycle);
	}
}

static void reset_hook(avr_io_t *io)
{
	sim_t *s = *(sim_t **)(io + 1);
	s->resets++;
	s->inputs_stale = 1;
	record(s, REC_RESET, 0, 0);
	after_reset(s);
}

static char port_of(sim_t *s, int pin) { return s->pins[2 * pin]; }
static int bit_of(sim_t *s, int pin) { return s->pins[2 * pin + 1] - '0'; }

static avr_irq_t *pin_irq(sim_t *s, int pin)
{
	return avr_io_getirq(s->avr, AVR_IOCTL_IOPORT_GETIRQ(port_of(s, pin)), bit_of(s, pin));
}

void sim_pin(sim_t *s, int pin, int high)
{
	s->inputs[pin] = high ? 2 : 1;
	// Or simavr's pull-up would win over what drives the pin, whenever the port is written.
	avr_ioport_external_t driven = {.name = port_of(s, pin)};
	for (int other = 0; other < s->pin_count; other++)
		if (s->inputs[other] && port_of(s, other) == driven.name) {
			driven.mask |= 1u << bit_of(s, other);
			driven.value |= (s->inputs[other] == 2 ? 1u : 0u) << bit_of(s, other);
		}
	avr_ioctl(s->avr, AVR_IOCTL_IOPORT_SET_EXTERNAL(driven.name), &driven);
	avr_raise_irq(pin_irq(s, pin), high);
}

// A reset clears simavr's input pins; what drives them from outside is still there.
static void restore_inputs(sim_t *s)
{
	s->inputs_stale = 0;
	for (int pin = 0; pin < s->pin_count; pin++)
		if (s->inputs[pin]) {
			avr_irq_t *irq = pin_irq(s, pin);
			irq->value = s->inputs[pin] == 1;
			avr_raise_irq(irq, s->inputs[pin] == 2);
		}
}

sim_t *sim_new(const char *elf, const char *mcu, uint32_t capacity)
{
	elf_firmware_t firmware;
	memset(&firmware, 0, sizeof firmware);
	// simavr tells what it loads on standard output, where a report may be going.
	fflush(stdout);
	int out = dup(1), nowhere = open("/dev/null", O_WRONLY);
	dup2(nowhere, 1);
	int failed = elf_read_firmware(elf, &firmware);
	fflush(stdout);
	dup2(out, 1);
	close(out);
	close(nowhere);
	unsigned board = 0, known = sizeof boards / sizeof *boards;
	while (board < known && strcmp(boards[board].mcu, mcu))
		board++;
	if (failed || board == known)
		return NULL;
	sim_t *s = calloc(1, sizeof *s);
	s->pins = boards[board].pins;
	s->pin_count = (int)strlen(s->pins) / 2;
	s->avr = avr_make_mcu_by_name(mcu);
	s->capacity = capacity;
	s->records = malloc(capacity * sizeof *s->records);
	s->line = malloc(RX_QUEUE);
	s->line_from = malloc(RX_QUEUE * sizeof *s->line_from);
	avr_init(s->avr);
	s->avr->frequency = 16000000;
	s->avr->vcc = s->avr->avcc = s->avr->aref = 5000;
	s->avr->log = LOG_ERROR;
	avr_load_firmware(s->avr, &firmware);
	s->avr->frequency = 16000000;
	s->avr->vcc = s->avr->avcc = s->avr->aref = 5000;
	for (avr_io_t *io = s->avr->io_port; io; io = io->next) {
		if (!strcmp(io->kind, "uart") && ((avr_uart_t *)io)->name == '0')
			s->uart = (avr_uart_t *)io;
		if (!strcmp(io->kind, "spi"))
			s->spi = (avr_spi_t *)io;
	}
	s->uart->flags = 0;
	struct { avr_io_addr_t a; avr_io_write_t w; avr_io_read_t r; } hooks[] = {
		{UDR, udr_write, udr_read}, {UCSRA, ucsra_write, ucsra_read}, {UCSRB, ucsrb_write, NULL},
		{s->spi->r_spdr, spdr_write, spdr_read},
	};
	for (unsigned i = 0; i < sizeof hooks / sizeof *hooks; i++) {
		unsigned at = AVR_DATA_TO_IO(hooks[i].a);
		s->avr->io[at].w.c = hooks[i].w;
		s->avr->io[at].w.param = s;
		s->avr->io[at].r.c = hooks[i].r;
		s->avr->io[at].r.param = s;
	}
	for (avr_io_t *io = s->avr->io_port; io; io = io->next)
		if (!strcmp(io->kind, "timer") && ((avr_timer_t *)io)->name == '1') {
			unsigned at = AVR_DATA_TO_IO(TIFR1);
			s->avr->io[at].w.c = tifr1_write;
			s->avr->io[at].w.param = io;
		}
	for (int pin = 2; pin < 14; pin++) {
		void **context = malloc(2 * sizeof *context);
		context[0] = s;
		context[1] = (void *)(uintptr_t)pin;
		avr_irq_t *irq = pin_irq(s, pin);
		irq->flags |= IRQ_FLAG_FILTERED;
		avr_irq_register_notify(irq, pin_changed, context);
	}
	struct { avr_io_t io; sim_t *s; } *hook = calloc(1, sizeof *hook);
	hook->io.kind = "shim";
	hook->io.reset = reset_hook;
	hook->s = s;
	avr_register_io(s->avr, &hook->io);
	after_reset(s);
	sim_pin(s, 2, 1);
	sim_pin(s, 3, 1);
	sim_pin(s, 12, 1);
	return s;
}

void sim_free(sim_t *s)
{
	avr_terminate(s->avr);
	free(s->records);
	free(s->line);
	free(s->line_from);
	free(s);
}

// Runs to `cycle` at least; returns the cycle reached, or 0 when the chip has crashed or the records are full.
uint64_t sim_run(sim_t *s, uint64_t cycle)
{
	while (s->avr->cycle < cycle) {
		uint64_t left = cycle - s->avr->cycle;
		s->avr->run_cycle_limit = left < 200 ? left : 200;
		int state = avr_run(s->avr);
		if (state == cpu_Done || state == cpu_Crashed)
			return 0;
		if (s->dropped)
			return 0;
		if (s->inputs_stale)
			restore_inputs(s);
	}
	return s->avr->cycle;
}

uint64_t sim_cycle(sim_t *s) { return s->avr->cycle; }

// Bytes for the chip's receiver, one after the other, the first not before `from`; returns how many fit.
uint32_t sim_feed(sim_t *s, const uint8_t *bytes, uint32_t size, uint64_t from)
{
	uint32_t i;
	for (i = 0; i < size && s->line_head - s->line_tail < RX_QUEUE; i++) {
		s->line[s->line_head % RX_QUEUE] = bytes[i];
		s->line_from[s->line_head % RX_QUEUE] = from;
		s->line_head++;
	}
	next_line_byte(s, s->avr->cycle);
	return i;
}

uint32_t sim_line_waiting(sim_t *s) { return s->line_head - s->line_tail; }
void sim_line_clear(sim_t *s) { s->line_head = s->line_tail + (s->line_busy ? 1 : 0); }

uint32_t sim_take(sim_t *s, record_t *out, uint32_t size)
{
	uint32_t n = s->count < size ? s->count : size;
	memcpy(out, s->records, n * sizeof *out);
	memmove(s->records, s->records + n, (s->count - n) * sizeof *out);
	s->count -= n;
	return n;
}

// simavr scales millivolts by 1023/5000: the middle of a code's millivolts gives exactly that code.
void sim_adc(sim_t *s, int channel, uint32_t adc_code)
{
	avr_raise_irq(avr_io_getirq(s->avr, AVR_IOCTL_ADC_GETIRQ, channel), (adc_code * 5000 + 1022) / 1023);
}

void sim_reset(sim_t *s)
{
	avr_reset(s->avr);
	s->avr->data[0x54] |= 2;  // MCUSR: external reset
}

void sim_eeprom(sim_t *s, int set, uint32_t offset, uint8_t *bytes, uint32_t size)
{
	avr_eeprom_desc_t d = {.ee = bytes, .offset = offset, .size = size};
	avr_ioctl(s->avr, set ? AVR_IOCTL_EEPROM_SET : AVR_IOCTL_EEPROM_GET, &d);
}

// Writes program memory: a test can make the running firmware hang where it stands.
void sim_flash(sim_t *s, uint32_t address, const uint8_t *bytes, uint32_t size)
{
	memcpy(s->avr->flash + address, bytes, size);
}
void sim_flash_read(sim_t *s, uint32_t address, uint8_t *bytes, uint32_t size)
{
	memcpy(bytes, s->avr->flash + address, size);
}
// The cycle at which timer 1 last began from zero: ties the board's microseconds to cycles exactly.
uint64_t sim_timer_base(sim_t *s)
{
	for (avr_io_t *io = s->avr->io_port; io; io = io->next)
		if (!strcmp(io->kind, "timer") && ((avr_timer_t *)io)->name == '1')
			return ((avr_timer_t *)io)->tov_base;
	return 0;
}
// Runs on while sampling; fills a histogram of program words and returns the lowest stack pointer seen.
uint32_t sim_profile(sim_t *s, uint64_t cycles, uint32_t *words)
{
	uint64_t end = s->avr->cycle + cycles;
	uint32_t lowest = 0xFFFF;
	while (s->avr->cycle < end) {
		s->avr->run_cycle_limit = 1;
		avr_run(s->avr);
		uint32_t sp = s->avr->data[0x5D] | s->avr->data[0x5E] << 8;
		if (sp < lowest && s->avr->cycle > 1000)
			lowest = sp;
		words[s->avr->pc / 2]++;
	}
	return lowest;
}
uint32_t sim_pc(sim_t *s) { return s->avr->pc; }
uint8_t sim_data(sim_t *s, uint32_t address) { return s->avr->data[address]; }
uint64_t sim_counter(sim_t *s, int which)
{
	switch (which) {
	case 0: return s->rx_total;
	case 1: return s->tx_total;
	case 2: return s->overruns;
	case 3: return s->resets;
	}
	return 0;
}
