// SPDX-License-Identifier: Apache-2.0
// A master of the bus of writable memories, for a simulation: writes a list of words, then reads
// them again and again. Behind AXI4-Lite each channel pauses at random.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "Vsimulation.h"
#include "streams.h"

struct BusWord {
  uint32_t address, data;
};

// Ends the program: something is not what it should be.
[[noreturn]] void wrong(const char* what, uint64_t where, uint32_t found, uint32_t expected);

class Bus {
 public:
  Bus(Vsimulation& model, std::vector<BusWord> words) : model_(model), words_(std::move(words)) {}

  bool done() const { return words_.empty() || rounds_ >= 2; }  // written, and read once

  // One cycle, before its clock edge. `goes()` says whether a channel moves on in it.
  template <typename Goes>
  void step(const Goes& goes) {
    if (words_.empty()) return;
    const BusWord& word = words_[next_];
    if (!(rounds_ == 0 ? write(word, goes) : read(word, goes))) return;
    next_ = (next_ + 1) % words_.size();
    if (next_ == 0) ++rounds_;
  }

 private:
  static void same(const char* what, const BusWord& word, uint32_t found, uint32_t expected) {
    if (found != expected) wrong(what, word.address, found, expected);
  }

#ifdef FST_AXIS
  // A beat of a channel that the master gives: offered, then taken.
  struct Beat {
    bool offered = false, taken = false;
    template <typename Goes>
    void step(CData& valid, bool ready, const Goes& goes) {
      if (!taken && !offered) offered = goes();
      valid = offered;
      if (offered && ready) offered = false, taken = true;
    }
  };

  template <typename Goes>
  bool write(const BusWord& word, const Goes& goes) {
    model_.s_axilite_awaddr = word.address * 4;
    model_.s_axilite_wdata = word.data;
    model_.s_axilite_wstrb = 15;
    address_.step(model_.s_axilite_awvalid, model_.s_axilite_awready, goes);
    data_.step(model_.s_axilite_wvalid, model_.s_axilite_wready, goes);
    model_.s_axilite_bready = goes();
    if (!model_.s_axilite_bready || !model_.s_axilite_bvalid) return false;
    same("the response to writing bus word", word, model_.s_axilite_bresp, 0);
    address_ = data_ = {};
    return true;
  }

  template <typename Goes>
  bool read(const BusWord& word, const Goes& goes) {
    model_.s_axilite_bready = 0;
    model_.s_axilite_araddr = word.address * 4;
    address_.step(model_.s_axilite_arvalid, model_.s_axilite_arready, goes);
    model_.s_axilite_rready = goes();
    if (!model_.s_axilite_rready || !model_.s_axilite_rvalid) return false;
    same("the response to reading bus word", word, model_.s_axilite_rresp, 0);
    same("bus word", word, model_.s_axilite_rdata, word.data);
    address_ = {};
    return true;
  }

  Beat address_, data_;
#else
  template <typename Goes>
  bool write(const BusWord& word, const Goes&) {
    model_.bus_write_i = 1;
    model_.bus_address_i = word.address;
    model_.bus_data_i = word.data;
    return true;
  }

  template <typename Goes>
  bool read(const BusWord& word, const Goes&) {
    model_.bus_write_i = 0;
    model_.bus_address_i = word.address;
    if (waited_++ < FST_BUS_LATENCY) return false;
    waited_ = 0;
    same("whether there is bus word", word, model_.bus_mapped_o, 1);
    same("bus word", word, model_.bus_data_o, word.data);
    return true;
  }

  int waited_ = 0;
#endif

  Vsimulation& model_;
  std::vector<BusWord> words_;
  std::size_t next_ = 0, rounds_ = 0;
};
