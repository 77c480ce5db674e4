// SPDX-License-Identifier: Apache-2.0
#include "src/train/train.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <future>
#include <map>
#include <memory>
#include <span>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "src/data/data_set.h"
#include "src/ir/eval.h"
#include "src/onnx/reader.h"
#include "src/onnx/writer.h"
#include "src/train/checkpoint.h"
#include "src/train/device.h"
#include "src/train/device_training.h"
#include "src/train/exact_sums.h"
#include "src/train/export.h"
#include "src/train/network.h"
#include "src/train/operations.h"
#include "src/train/recipe.h"
#include "src/train/samples.h"
#include "src/train/start.h"
#include "src/util/error.h"
#include "src/util/files.h"
#include "src/util/interrupt.h"
#include "src/util/progress.h"
#include "src/util/sha256.h"

// OpenBLAS keeps threads of its own beside libtorch's; other libraries of this interface don't have
// the function.
extern "C" void openblas_set_num_threads(int count) __attribute__((weak));

namespace foldstream::train {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int64_t kEvaluationBatch = 500;
constexpr uint64_t kTeacherSeed = 1;
constexpr int64_t kCompared = 50;
constexpr std::chrono::seconds kBetweenCheckpoints{20};

// Whether both have the same tensors, by name and shape, in the same order.
bool alike(const State& a, const State& b) {
  return std::ranges::equal(a, b, [](const auto& one, const auto& other) {
    return one.first == other.first && one.second.sizes() == other.second.sizes();
  });
}

std::vector<SavedTensor> saved(const State& state, const std::string& prefix) {
  std::vector<SavedTensor> tensors;
  for (const auto& [name, tensor] : state) {
    const torch::Tensor flat = tensor.detach().cpu().contiguous();
    const float* data = flat.data_ptr<float>();
    tensors.push_back({prefix + name, flat.sizes().vec(), {data, data + flat.numel()}});
  }
  return tensors;
}

// Every step takes and gives back the same tensors: their memory stays with the process instead of
// going back to the system, which would have to clear it anew. Trainings run in threads, whose own
// arenas would end at 64 MiB and take what is larger from the system each time: one arena is for
// all.
void keep_memory() {
  constexpr int kLimit = 1 << 30;
  mallopt(M_MMAP_THRESHOLD, kLimit);
  mallopt(M_TRIM_THRESHOLD, kLimit);
  mallopt(M_ARENA_MAX, 1);
}

void use_threads(int64_t wanted) {
  const int cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  if (wanted > cores) {
    throw Error(fmt::format("{} threads on a machine of {} cores", wanted, cores),
                fmt::format("legal are 1 to {}", cores));
  }
  const int threads = wanted > 0 ? static_cast<int>(wanted) : cores;
  at::set_num_threads(threads);
  if (openblas_set_num_threads != nullptr) openblas_set_num_threads(threads);
}

// Both parts of a data set, samples in the shape that the recipe takes them in.
struct Parts {
  DataSet training, test;  // test of count 0: it isn't there
  std::string hash;        // of the training part
};

class Trainer;

// A network that others learn from.
struct Teacher {
  std::shared_ptr<Trainer> trainer;
  bool trained = false;
  // What it answers to each training sample in each of the ways in which students' recipes change
  // it, [changes, samples, classes], by those ways: shift and flip.
  std::map<std::pair<int64_t, bool>, torch::Tensor> answers;
};

// What trainings from the same files share.
class Shelf {
 public:
  // `make` is asked for a teacher that isn't there yet.
  template <class F>
  std::shared_ptr<Teacher> teacher(const Options& options, const F& make) {
    auto& teacher = teachers_[{options.recipe, options.data, options.samples}];
    if (!teacher) teacher = std::make_shared<Teacher>(Teacher{.trainer = make(), .answers = {}});
    return teacher;
  }

  std::shared_ptr<const Parts> parts(const Recipe& recipe, const Options& options) {
    auto& parts = parts_[{recipe.data_set, recipe.input, options.data, options.samples}];
    if (!parts) parts = std::make_shared<const Parts>(read(recipe, options));
    return parts;
  }

 private:
  static Parts read(const Recipe& recipe, const Options& options) {
    Parts parts;
    parts.training = load_data_set(recipe.data_set, options.data, options.samples, Split::train);
    if (has_data_set(recipe.data_set, options.data, Split::test)) {
      parts.test = load_data_set(recipe.data_set, options.data, 0, Split::test);
    }
    for (DataSet* part : {&parts.training, &parts.test}) {
      if (part->count == 0) continue;
      if (!part->fits(recipe.input)) {
        throw Error(fmt::format("a sample of '{}' is {}, but {} takes {}", part->name,
                                to_string(part->shape), recipe.path, to_string(recipe.input)));
      }
      part->shape = recipe.input;
    }
    const auto hash = [](const auto& values) {
      return sha256(
          {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(*values.data())});
    };
    const DataSet& data = parts.training;
    parts.hash = sha256(hash(data.bytes) + hash(data.floats) + hash(data.labels));
    return parts;
  }

  std::map<std::tuple<std::string, Shape, fs::path, int64_t>, std::shared_ptr<const Parts>> parts_;
  std::map<std::tuple<fs::path, fs::path, int64_t>, std::shared_ptr<Teacher>> teachers_;
};

class Trainer {
 public:
  // A teacher is given its student's lane: what it computes is read there.
  Trainer(const Options& options, Shelf& shelf, std::shared_ptr<const Lane> lane = nullptr)
      : options_(options),
        device_(open_device(options.device)),
        lane_(lane ? std::move(lane) : std::make_shared<const Lane>(device_)),
        recipe_(read_recipe(options.recipe)),
        checkpoint_(options.output.string() + ".checkpoint"),
        parts_(shelf.parts(recipe_, options)),
        data_(parts_->training),
        test_(parts_->test) {
    check_writable(options.output);
    lane_->use();
    if (options.epochs > 0) recipe_.epochs = options.epochs;
    if (recipe_.distillation) make_teacher(shelf);
    recipe_.warmup = std::min(recipe_.warmup, recipe_.epochs - 1);
    check_data();
    const bool like_device = !device_.is_cpu() || options.like_device;
    network_ = std::make_unique<Network>(recipe_, options.seed, device_, !like_device,
                                         kernel_runner(device_));
    if (!options.init.empty()) {
      const std::string path = options.init.string(), bytes = read_file(options.init);
      network_->load(values_of_model(*network_, read_model_bytes(bytes, path), path));
      start_ = sha256(bytes);
    }
    exported(*network_);  // what no model can have is found before training
    best_ = copy_of(network_->state(false));
    if (!like_device) return;
    DeviceTraining::Loss loss;
    loss.of = [this](const torch::Tensor& x, const torch::Tensor& labels,
                     const torch::Tensor& wanted) { return loss_of(x, labels, wanted); };
    loss.wanted = [this](const torch::Tensor& x) { return wanted(x); };
    on_device_ = std::make_unique<DeviceTraining>(device_, recipe_, data_, divisor_, *network_,
                                                  std::move(loss));
  }

  int64_t steps() const { return recipe_.epochs * steps_per_epoch_; }

  // Whether it can be trained while others are: where steps are recorded, and draw no random
  // numbers from a generator that all share.
  bool can_overlap() const {
    return on_device_ && (!teacher_ || answers_fit()) &&
           std::ranges::none_of(recipe_.layers, [](const LayerSpec& layer) {
             return layer.kind == LayerSpec::Kind::dropout;
           });
  }

  // What comes before the first step; nothing else may use the device meanwhile.
  void prepare(Progress& progress) {
    lane_->use();
    start_or_resume();
    progress.advance(epoch_ * steps_per_epoch_);
    if (teacher_) prepare_teacher();
    if (on_device_) on_device_->record();
  }

  Outcome run(Progress& progress) {
    lane_->use();
    const auto began = Clock::now();
    const int64_t first = epoch_;
    train_epochs(progress);
    outcome_.seconds = std::chrono::duration<double>(Clock::now() - began).count();
    outcome_.samples_per_second =
        static_cast<double>((epoch_ - first) * steps_per_epoch_ * recipe_.batch) / outcome_.seconds;
    outcome_.epochs = epoch_;
    outcome_.best_epoch = best_epoch_;
    outcome_.validation_accuracy = best_accuracy_;
    outcome_.history = history_;
    outcome_.finished = epoch_ == recipe_.epochs;
    write_state();  // of a finished one too: --resume then has nothing left to do but to write
    if (!outcome_.finished) return outcome_;
    network_->load(best_);
    exact_ = has_exact_sums(*network_);
    write_model_file();
    if (test_.count > 0) {
      outcome_.correct = correct_of(test_, 0, test_.count, !exact_);
      outcome_.total = test_.count;
    }
    return outcome_;
  }

  // What is of no use once this and all others trained with it are finished.
  std::vector<fs::path> checkpoints() const {
    std::vector<fs::path> paths = {checkpoint_};
    if (teacher_) paths.push_back(teacher_->trainer->checkpoint_);
    return paths;
  }

 private:
  // The teacher is trained to its own recipe's end first, or read from its checkpoint, which stays
  // until its students are done. Its file is named after the first one's model.
  void make_teacher(Shelf& shelf) {
    Options options = options_;
    options.seed = kTeacherSeed;
    options.recipe = options_.recipe.parent_path() / recipe_.distillation->teacher;
    options.output = options_.output.string() + ".teacher";
    options.init.clear();
    options.epochs = 0;
    options.stop_after = 0;
    options.resume = true;
    const Recipe taught = read_recipe(options.recipe);
    if (taught.distillation) {
      throw Error(fmt::format("{} has a teacher of its own", taught.path));
    }
    if (taught.input != recipe_.input || taught.classes != recipe_.classes ||
        taught.data_set != recipe_.data_set || taught.divisor != recipe_.divisor) {
      throw Error(fmt::format("{} and its teacher {} take other data", recipe_.path, taught.path),
                  "input, classes, set and divisor must be the same");
    }
    if (taught.validation < recipe_.validation) {
      throw Error(
          fmt::format("{} validates on {} samples, of which its teacher {} learns {}", recipe_.path,
                      recipe_.validation, taught.path, recipe_.validation - taught.validation),
          fmt::format("validate the teacher on {} or more", recipe_.validation));
    }
    teacher_ =
        shelf.teacher(options, [&] { return std::make_shared<Trainer>(options, shelf, lane_); });
  }

  // Whether the teacher answers once to all that samples can be changed to.
  bool answers_fit() const {
    constexpr int64_t kMostAnswers = int64_t{1} << 28;
    const int64_t changes = recipe_.augment.whole_changes();
    return on_device_ && recipe_.augment.whole_pixels() &&
           changes <= kMostAnswers / (data_.count * recipe_.classes);
  }

  void prepare_teacher() {
    Trainer& trainer = *teacher_->trainer;
    if (!teacher_->trained) {
      Progress progress("steps of the teacher", trainer.steps());
      trainer.prepare(progress);
      if (trainer.epoch_ < trainer.recipe_.epochs) trainer.train_epochs(progress);
      trainer.write_state();
      trainer.network_->load(trainer.best_);
      teacher_->trained = true;
    }
    if (!answers_fit()) return;
    torch::Tensor& answers = teacher_->answers[{recipe_.augment.shift, recipe_.augment.flip}];
    if (!answers.defined()) answers = on_device_->answers(*trainer.network_);
    on_device_->learn_from(answers);
  }

  void check_data() {
    divisor_ = recipe_.divisor > 0 ? recipe_.divisor : data_.default_scale();
    for (const DataSet* part : {&data_, &test_}) {
      part->check_labels(std::max<int64_t>(recipe_.classes, 2), recipe_.path);
    }
    const int64_t training = data_.count - recipe_.validation;
    if (training < recipe_.batch) {
      throw Error(fmt::format("{} samples are too few for {} of validation and a batch of {}",
                              data_.count, recipe_.validation, recipe_.batch),
                  "use more samples, or lower 'validation' in the recipe");
    }
    steps_per_epoch_ = training / recipe_.batch;
  }

  // What must be equal for a checkpoint to go on as if it had never stopped.
  nlohmann::ordered_json identity() const {
    return {{"recipe", sha256(recipe_.text + (teacher_ ? teacher_->trainer->recipe_.text : ""))},
            {"start", start_},
            {"seed", options_.seed},
            {"epochs", recipe_.epochs},
            {"samples", data_.count},
            {"data", parts_->hash}};
  }

  void start_or_resume() {
    if (!fs::exists(checkpoint_)) return;
    if (!options_.resume) {
      throw Error(fmt::format("'{}' holds an unfinished training", checkpoint_.string()),
                  "go on with --resume, or remove it to start over");
    }
    const Checkpoint from = read_checkpoint(checkpoint_);
    const auto damaged = [&] {
      return Error(fmt::format("'{}' is not a whole checkpoint", checkpoint_.string()),
                   "remove it and train from the start");
    };
    try {
      if (from.info.at("identity") != identity()) {
        throw Error(fmt::format("'{}' is of another recipe, seed, number of epochs or data: {}",
                                checkpoint_.string(), from.info.at("identity").dump()),
                    fmt::format("this training is {}", identity().dump()));
      }
      epoch_ = from.info.at("epoch");
      best_epoch_ = from.info.at("best_epoch");
      best_accuracy_ = from.info.at("best_accuracy");
      history_ = from.info.at("history");
      if (epoch_ < 1 || epoch_ > recipe_.epochs) throw damaged();
    } catch (const nlohmann::json::exception&) {
      throw damaged();
    }
    State now, best;
    for (const SavedTensor& tensor : from.tensors) {
      torch::Tensor value = torch::tensor(tensor.values).reshape(tensor.shape);
      const bool is_best = tensor.name.starts_with(kBest);
      (is_best ? best : now)
          .emplace_back(tensor.name.substr(is_best ? kBest.size() : kNow.size()), std::move(value));
    }
    if (!alike(now, network_->state(true)) || !alike(best, network_->state(false))) {
      throw Error(fmt::format("'{}' holds other tensors than the recipe's network has",
                              checkpoint_.string()),
                  "another version of Foldstream wrote it: remove it and train from the start");
    }
    network_->load(now);
    best_ = best;
    good_ = copy_of(network_->state(true));
  }

  void train_epochs(Progress& progress) {
    auto written = Clock::now();
    const int64_t last = options_.stop_after > 0
                             ? std::min(recipe_.epochs, epoch_ + options_.stop_after)
                             : recipe_.epochs;
    try {
      while (epoch_ < last) {
        const double loss = train_epoch(progress);
        ++epoch_;
        const int64_t correct = on_device_ ? correct_of(data_, 0, on_device_->scores())
                                           : correct_of(data_, 0, recipe_.validation, false);
        const double accuracy =
            static_cast<double>(correct) / static_cast<double>(recipe_.validation);
        if (accuracy > best_accuracy_) {
          best_accuracy_ = accuracy;
          best_epoch_ = epoch_;
          best_ = copy_of(network_->state(false));
        }
        history_.push_back({epoch_, std::round(loss * 1e5) / 1e5, accuracy});
        good_ = copy_of(network_->state(true));
        progress.note(fmt::format("seed {}, epoch {}: loss {:.4f}, {:.2f} % right, best {:.2f} %",
                                  options_.seed, epoch_, loss, 100 * accuracy,
                                  100 * best_accuracy_));
        if (Clock::now() - written > kBetweenCheckpoints && epoch_ < recipe_.epochs) {
          write_state();
          written = Clock::now();
        }
      }
    } catch (const Interrupted&) {
      write_state();
      throw;
    }
  }

  // The mean loss.
  double train_epoch(Progress& progress) {
    const auto stream = static_cast<uint64_t>(epoch_) + 1;
    Random random(options_.seed, stream);
    torch::manual_seed(options_.seed * 1000003 + stream);  // dropout
    std::vector<int64_t> order = shuffled(data_.count - recipe_.validation, random);
    for (int64_t& index : order) index += recipe_.validation;
    order.resize(steps_per_epoch_ * recipe_.batch);
    return on_device_ ? train_epoch_there(order, random, progress)
                      : train_epoch_here(order, random, progress);
  }

  double train_epoch_here(std::span<const int64_t> order, Random& random, Progress& progress) {
    double sum = 0;
    for (int64_t step = 0; step < steps_per_epoch_; ++step) {
      check_interrupt();
      const auto indices = order.subspan(step * recipe_.batch, recipe_.batch);
      const torch::Tensor x = batch_of(data_, indices, &recipe_.augment, random);
      const torch::Tensor loss = loss_of(x, labels_of(data_, indices), wanted(x));
      const double value = loss.item<double>();
      if (!std::isfinite(value)) fail_at(step, value);
      loss.backward();
      const int64_t steps = epoch_ * steps_per_epoch_ + step;
      network_->step(rate_at(recipe_, steps, steps_per_epoch_), recipe_.weight_decay, steps + 1);
      sum += value;
      progress.advance(1);
    }
    return sum / static_cast<double>(steps_per_epoch_);
  }

  double train_epoch_there(const std::vector<int64_t>& order, Random& random, Progress& progress) {
    const auto adam = [&](int64_t step) {
      const int64_t steps = epoch_ * steps_per_epoch_ + step;
      return AdamStep(rate_at(recipe_, steps, steps_per_epoch_), recipe_.weight_decay, steps + 1);
    };
    const torch::Tensor losses = on_device_->train_epoch(order, random, adam, progress);
    for (int64_t step = 0; step < losses.size(0); ++step) {
      const double loss = losses[step].item<double>();
      if (!std::isfinite(loss)) fail_at(step, loss);
    }
    return losses.mean().item<double>();
  }

  [[noreturn]] void fail_at(int64_t step, double value) {
    std::string kept = "nothing was trained yet";
    if (epoch_ > 0) {
      write_state();
      kept = fmt::format("the state after epoch {} is in '{}'", epoch_, checkpoint_.string());
    }
    // A loss is never negative, but what is no number may have a sign.
    throw Error(fmt::format("the loss became {} in epoch {}, step {}; {}", std::abs(value),
                            epoch_ + 1, step + 1, kept),
                "lower learning_rate in the recipe");
  }

  void write_state() {
    if (epoch_ == 0) return;
    Checkpoint checkpoint;
    checkpoint.info = {{"identity", identity()},
                       {"epoch", epoch_},
                       {"best_epoch", best_epoch_},
                       {"best_accuracy", best_accuracy_},
                       {"history", history_}};
    checkpoint.tensors = saved(good_, std::string(kNow));
    for (SavedTensor& tensor : saved(best_, std::string(kBest))) {
      checkpoint.tensors.push_back(std::move(tensor));
    }
    write_checkpoint(checkpoint_, checkpoint);
  }

  torch::Tensor batch_of(const DataSet& data, std::span<const int64_t> indices,
                         const Augmentation* augment, Random& random) const {
    std::vector<int64_t> shape = {static_cast<int64_t>(indices.size())};
    shape.insert(shape.end(), recipe_.input.begin(), recipe_.input.end());
    torch::Tensor x = torch::empty(shape);
    fill_batch(data, indices, static_cast<float>(divisor_), augment, random, x.data_ptr<float>());
    return x.to(device_);
  }

  torch::Tensor labels_of(const DataSet& data, std::span<const int64_t> indices) const {
    torch::Tensor labels = torch::empty({static_cast<int64_t>(indices.size())}, torch::kLong);
    for (size_t i = 0; i < indices.size(); ++i) {
      labels.data_ptr<int64_t>()[i] = data.labels[indices[i]];
    }
    return labels.to(device_);
  }

  // The teacher's scores; undefined without one.
  torch::Tensor wanted(const torch::Tensor& x) const {
    if (!teacher_) return {};
    const torch::NoGradGuard no_gradient;
    return teacher_->trainer->network_->teach(x);
  }

  torch::Tensor loss_of(const torch::Tensor& x, const torch::Tensor& labels,
                        const torch::Tensor& wanted) {
    const torch::Tensor scores = network_->forward(x, true);
    const torch::Tensor loss = recipe_.loss == Loss::squared_hinge
                                   ? squared_hinge(scores, labels)
                                   : cross_entropy(scores, labels, recipe_.temperature);
    if (!wanted.defined()) return loss;
    const Distillation& how = *recipe_.distillation;
    return loss * (1 - how.weight) + distillation(scores, wanted, how.temperature) * how.weight;
  }

  // Scores of samples begin to end, in evaluation, as [count, classes]. `wide`: sums in double,
  // which take longer and matter only where they aren't exact.
  torch::Tensor scores_of(const DataSet& data, int64_t begin, int64_t end, bool wide) {
    const torch::NoGradGuard no_gradient;
    std::vector<int64_t> indices;
    for (int64_t i = begin; i < end; ++i) indices.push_back(i);
    if (on_device_ && &data == &data_) {
      const torch::Tensor places = torch::tensor(indices).to(device_);
      return scores_of(on_device_->samples().batch(places, {}), wide);
    }
    Random random(0, 0);
    return scores_of(batch_of(data, indices, nullptr, random), wide);
  }

  torch::Tensor scores_of(const torch::Tensor& x, bool wide) {
    const torch::Tensor scores = wide ? network_->scores(x) : network_->forward(x, false);
    return scores.cpu().contiguous();
  }

  int64_t correct_of(const DataSet& data, int64_t begin, int64_t end, bool wide) {
    int64_t correct = 0;
    for (int64_t at = begin; at < end; at += kEvaluationBatch) {
      const int64_t stop = std::min(end, at + kEvaluationBatch);
      correct += correct_of(data, at, scores_of(data, at, stop, wide));
    }
    return correct;
  }

  // Of the samples from `begin` on that `scores` [count, classes] are of.
  int64_t correct_of(const DataSet& data, int64_t begin, const torch::Tensor& scores) {
    const float* row = scores.data_ptr<float>();
    int64_t correct = 0;
    for (int64_t i = 0; i < scores.size(0); ++i, row += recipe_.classes) {
      correct += class_of(row) == data.labels[begin + i] ? 1 : 0;
    }
    return correct;
  }

  // As `foldstream eval` has it: the first of the largest scores, or the sign of a single one.
  int64_t class_of(const float* scores) const {
    if (recipe_.classes == 1) return scores[0] > 0 ? 1 : 0;
    return std::max_element(scores, scores + recipe_.classes) - scores;
  }

  // Writes the model, and holds what it computes, read back from its bytes, against this network:
  // the scores to the bit where every sum is exact in float32, the class where it isn't.
  void write_model_file() {
    const std::string bytes = write_model(exported(*network_));
    write_whole(options_.output, bytes);
    const Graph model = read_model_bytes(bytes, options_.output.string());
    const Evaluator evaluator(model);
    const int64_t count = std::min(kCompared, recipe_.validation);
    const torch::Tensor scores = scores_of(data_, 0, count, !exact_);
    for (int64_t i = 0; i < count; ++i) {
      const Tensor sample = data_.sample(i, evaluator.inputs().at(0)->out[0].shape, divisor_);
      const std::vector<double> reals = evaluator.run(std::span(&sample, 1))[0].reals;
      const std::vector<float> found(reals.begin(), reals.end());
      const float* expected = scores.data_ptr<float>() + i * recipe_.classes;
      const bool equal = exact_ ? std::equal(found.begin(), found.end(), expected)
                                : class_of(found.data()) == class_of(expected);
      outcome_.mismatches += equal ? 0 : 1;
    }
    outcome_.compared = count;
  }

  static constexpr std::string_view kNow = "now.", kBest = "best.";

  const Options options_;
  const torch::Device device_;
  const std::shared_ptr<const Lane> lane_;
  Recipe recipe_;
  const fs::path checkpoint_;
  std::string start_;  // the hash of the model that training starts from, as it was read
  const std::shared_ptr<const Parts> parts_;
  const DataSet &data_, &test_;
  double divisor_ = 1;
  int64_t steps_per_epoch_ = 0;
  std::unique_ptr<Network> network_;
  std::shared_ptr<Teacher> teacher_;
  std::unique_ptr<DeviceTraining> on_device_;  // none where kernels train
  int64_t epoch_ = 0, best_epoch_ = 0;         // epochs done
  double best_accuracy_ = -1;
  bool exact_ = true;  // all sums of the trained network, in float32
  State best_;         // of the best epoch on the validation split
  State good_;         // after the last whole epoch, with the optimizer's
  nlohmann::ordered_json history_ = nlohmann::ordered_json::array();
  Outcome outcome_;
};

}  // namespace

std::vector<Outcome> train(std::span<const Options> all) {
  FOLDSTREAM_CHECK(!all.empty());
  keep_memory();
  use_threads(all[0].threads);
  try {
    std::vector<std::unique_ptr<Trainer>> trainers;
    std::vector<fs::path> checkpoints;
    int64_t steps = 0;
    Shelf shelf;
    for (const Options& options : all) {
      trainers.push_back(std::make_unique<Trainer>(options, shelf));
      steps += trainers.back()->steps();
      std::ranges::copy(trainers.back()->checkpoints(), std::back_inserter(checkpoints));
    }
    Progress progress("steps", steps);
    const bool overlap = std::ranges::all_of(
        trainers, [](const std::unique_ptr<Trainer>& trainer) { return trainer->can_overlap(); });
    const auto run = [&](std::unique_ptr<Trainer>& trainer) {
      use_threads(all[0].threads);  // holds for the thread that asks
      if (!overlap) trainer->prepare(progress);
      Outcome outcome = trainer->run(progress);
      trainer.reset();
      return outcome;
    };
    if (overlap) {
      for (const auto& trainer : trainers) trainer->prepare(progress);
    }
    std::vector<std::future<Outcome>> outcomes;
    for (auto& trainer : trainers) {
      outcomes.push_back(std::async(std::launch::async, [&run, &trainer] { return run(trainer); }));
      if (!overlap) outcomes.back().wait();
    }
    // One that fails doesn't stop the others: what they learn is kept.
    for (const std::future<Outcome>& one : outcomes) one.wait();
    std::vector<Outcome> all_outcomes;
    for (std::future<Outcome>& one : outcomes) all_outcomes.push_back(one.get());
    if (std::ranges::all_of(all_outcomes, &Outcome::finished)) {
      for (const fs::path& path : checkpoints) fs::remove(path);
    }
    return all_outcomes;
  } catch (const c10::Error& error) {
    const std::string message = error.what_without_backtrace();
    const bool memory = message.find("allocate") != std::string::npos;
    throw Error(fmt::format("libtorch: {}", message),
                memory ? "lower 'batch' in the recipe, or train with more memory" : "");
  }
}

Outcome train(const Options& options) { return train(std::span(&options, 1)).at(0); }

}  // namespace foldstream::train
